"""The selective scan as it is written down; the reference for every other backend."""

import torch
from torch import Tensor

from ..numerics import wide_dtype
from ..operator import Outputs


def naive_selective_scan(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, state: Tensor | None = None
) -> Outputs:
    """See `selective_scan`. One token after the other, differentiated by autograd."""
    dtype = wide_dtype(u.dtype)
    A = A.to(dtype)
    h = u.new_zeros(u.shape[0], *A.shape, dtype=dtype) if state is None else state.to(dtype)
    outputs = [u[..., :0].to(dtype)]  # of no tokens, where there are none
    for t in range(u.shape[2]):
        u_t, delta_t = u[..., t, None].to(dtype), delta[..., t, None].to(dtype)
        B_t, C_t = B[:, None, :, t].to(dtype), C[:, None, :, t].to(dtype)
        h = torch.exp(delta_t * A) * h + delta_t * B_t * u_t
        outputs.append((h * C_t).sum(-1, keepdim=True))
    y = torch.cat(outputs, dim=-1).to(u.dtype)
    return y if state is None else (y, h)
