"""The naive scan and the naive epilogue; the reference for every other backend."""

from typing import Any

from torch import Tensor

from ..numerics import wide_dtype
from .arguments import GatedScan
from .composed import composed_gated_selective_scan


def naive_gated_selective_scan(x: GatedScan) -> Tensor:
    """See `gated_selective_scan`. All of it in float32 at least, what the parts exchange too."""
    dtype = wide_dtype(x.u.dtype)
    tensors: dict[str, Any] = {name: tensor.to(dtype) for name, tensor in x.tensors().items()}
    wide = x._replace(**tensors)
    return composed_gated_selective_scan(wide, scan='naive', norm='naive').to(x.u.dtype)
