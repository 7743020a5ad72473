"""The operator as its parts, one after the other."""

import torch.nn.functional as F
from torch import Tensor

from ..gated_group_rms_norm import gated_group_rms_norm
from ..numerics import wide_dtype
from ..selective_scan import selective_scan
from .arguments import GatedScan


def composed_gated_selective_scan(x: GatedScan, scan: str = 'auto', norm: str = 'auto') -> Tensor:
    """See `gated_selective_scan`; `scan` and `norm` are the backends of the parts."""
    delta, wide = x.delta, wide_dtype(x.delta.dtype)
    if x.delta_bias is not None:
        delta = delta + x.delta_bias.to(wide)
    if x.delta_softplus:
        delta = F.softplus(delta.to(wide))
    y = selective_scan(x.u.mT, delta.mT, x.A, x.B.mT, x.C.mT, backend=scan).mT
    return gated_group_rms_norm(y, x.u, x.D, x.z, x.group_size, x.eps, backend=norm)
