"""The selective scan as `torch.export` takes it: one step, which the program repeats along L.

A loop over tokens in Python would be unrolled. ONNX has an operator of its own for this, Scan.
"""

import torch
from torch import Tensor

from ..operator import Outputs


def recurrent_selective_scan(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, state: Tensor | None = None
) -> Outputs:
    """See `selective_scan`.

    Raises:
        RuntimeError: If this version of torch has no scan that can be exported.
    """
    try:  # here, since it imports the compiler, which takes a second
        from torch._higher_order_ops.scan import scan
    except ImportError as error:
        raise RuntimeError(
            f'selective_scan: its exportable form needs the scan of torch 2.11, which torch '
            f'{torch.__version__} does not have: update torch'
        ) from error

    def step(h: Tensor, token: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        u_t, delta_t, B_t, C_t = token
        decay = torch.exp(delta_t.unsqueeze(-1) * A)
        h = decay * h + (delta_t * u_t).unsqueeze(-1) * B_t.unsqueeze(1)
        return h, (h * C_t.unsqueeze(1)).sum(-1)

    first = u.new_zeros(u.shape[0], *A.shape) if state is None else state
    # along the first dimension, where every version of torch stacks y
    final, y = scan(step, first, tuple(x.movedim(2, 0) for x in (u, delta, B, C)))
    y = y.movedim(0, 2)
    return y if state is None else (y, final)
