"""The epilogue in plain torch, differentiated by autograd."""

import torch.nn.functional as F
from torch import Tensor

from ..numerics import wide_dtype


def naive_gated_group_rms_norm(
    y: Tensor, u: Tensor, D: Tensor, z: Tensor, group_size: int, eps: float
) -> Tensor:
    """See `gated_group_rms_norm`."""
    wide = wide_dtype(u.dtype)
    groups = y.to(wide).unflatten(-1, (-1, group_size))
    normed = F.rms_norm(groups, (group_size,), eps=eps).flatten(-2)
    return ((normed + u.to(wide) * D.to(wide)) * F.silu(z.to(wide))).to(u.dtype)
