"""The operator as its parts, one after the other."""

import torch.nn.functional as F
from torch import Tensor

from ..gated_group_rms_norm import gated_group_rms_norm
from ..numerics import wide_dtype
from ..operator import Outputs
from ..selective_scan import selective_scan, selective_scan_with_state
from .arguments import GatedScan


def composed_gated_selective_scan(x: GatedScan, scan: str = 'auto', norm: str = 'auto') -> Outputs:
    """See `gated_selective_scan`; `scan` and `norm` are the backends of the parts."""
    delta, wide = x.delta, wide_dtype(x.delta.dtype)
    if x.delta_bias is not None:
        delta = delta + x.delta_bias.to(wide)
    if x.delta_softplus:
        delta = F.softplus(delta.to(wide))
    inputs = x.u.mT, delta.mT, x.A, x.B.mT, x.C.mT
    if x.initial_state is None:
        return _finished(x, selective_scan(*inputs, backend=scan), norm)
    y, final = selective_scan_with_state(*inputs, x.initial_state, backend=scan)
    return _finished(x, y, norm), final


def _finished(x: GatedScan, y: Tensor, norm: str) -> Tensor:
    return gated_group_rms_norm(y.mT, x.u, x.D, x.z, x.group_size, x.eps, backend=norm)
