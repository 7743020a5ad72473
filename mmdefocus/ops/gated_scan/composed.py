"""The operator as its parts, one after the other."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..gated_norm import gated_group_rms_norm
from ..selective_scan import selective_scan


def composed_gated_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    z: Tensor,
    delta_bias: Tensor | None,
    group_size: int,
    eps: float,
    delta_softplus: bool,
    scan: str = 'auto',
    norm: str = 'auto',
) -> Tensor:
    """See `gated_selective_scan`; `scan` and `norm` are the backends of the parts."""
    wide = torch.promote_types(delta.dtype, torch.float32)
    if delta_bias is not None:
        delta = delta + delta_bias.to(wide)
    if delta_softplus:
        delta = F.softplus(delta.to(wide))
    y = selective_scan(u.mT, delta.mT, A, B.mT, C.mT, backend=scan).mT
    return gated_group_rms_norm(y, u, D, z, group_size, eps, backend=norm)
