"""The naive scan and the naive epilogue; the reference for every other backend."""

from typing import Any

from ..numerics import wide_dtype
from ..operator import Outputs
from .arguments import GatedScan
from .composed import composed_gated_selective_scan


def naive_gated_selective_scan(x: GatedScan) -> Outputs:
    """See `gated_selective_scan`. All of it in float32 at least, what the parts exchange too."""
    dtype = wide_dtype(x.u.dtype)
    tensors: dict[str, Any] = {name: tensor.to(dtype) for name, tensor in x.tensors().items()}
    wide = x._replace(**tensors)
    found: Any = composed_gated_selective_scan(wide, scan='naive', norm='naive')
    if x.initial_state is None:
        return found.to(x.u.dtype)
    y, final = found
    return y.to(x.u.dtype), final
