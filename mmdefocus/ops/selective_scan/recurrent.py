"""The selective scan as `torch.export` takes it: one step, which the program repeats along L.

A loop over tokens in Python would be unrolled. ONNX has an operator of its own for this, Scan.
"""

import torch
from torch import Tensor


def recurrent_selective_scan(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """See `selective_scan`."""
    from torch._higher_order_ops.scan import scan  # imports the compiler, which takes a second

    def step(state: Tensor, token: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        u_t, delta_t, B_t, C_t = token
        decay = torch.exp(delta_t.unsqueeze(-1) * A)
        state = decay * state + (delta_t * u_t).unsqueeze(-1) * B_t.unsqueeze(1)
        return state, (state * C_t.unsqueeze(1)).sum(-1)

    _, y = scan(step, u.new_zeros(u.shape[0], *A.shape), (u, delta, B, C), dim=2)
    return y.movedim(0, 2)
