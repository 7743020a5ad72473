"""What retention and decayed attention have in common: queries, keys and values of heads."""

import torch
from torch import Tensor

from .arguments import check_tensors
from .operator import Shape

DIMENSIONS = {'q': 'BHLK', 'k': 'BHLK', 'v': 'BHLV', 'log_decay': 'H'}
EXAMPLE_WIDTH = 64


def check_heads(
    q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, *, of_retention: bool = False
) -> None:
    """Checks q, k `(B, H, L, K)`, v `(B, H, L, V)` and log_decay `(H,)`.

    Args:
        q: Queries.
        k: Keys.
        v: Values.
        log_decay: The decay of each head.
        of_retention: Whether all heads may share q and k, `(B, 1, L, K)`, and the decay may also be
            that of each token and head, `(B, H, L)`.

    Raises:
        ValueError: If shapes, dtypes or devices do not fit.
    """
    dimensions = DIMENSIONS
    if of_retention and isinstance(log_decay, Tensor) and log_decay.dim() == 3:
        dimensions = dimensions | {'log_decay': 'BHL'}
    if of_retention and isinstance(q, Tensor) and q.dim() == 4 and q.shape[1] == 1:
        dimensions = dimensions | {'q': 'BGLK', 'k': 'BGLK'}
    check_tensors({'q': q, 'k': k, 'v': v, 'log_decay': log_decay}, dimensions)


def example_heads(shape: Shape, dtype: torch.dtype) -> dict[str, object]:
    """Returns heads of 64 of the channels, as views of `(B, L, H, K)`, and their decays."""
    batch, length, channels, _ = shape
    width = min(EXAMPLE_WIDTH, channels)
    q, k, v = (
        torch.randn(batch, length, channels // width, width, dtype=dtype).transpose(1, 2)
        for _ in range(3)
    )
    log_decay = -torch.logspace(-1, -4, channels // width, dtype=dtype)
    return {'q': q, 'k': k, 'v': v, 'log_decay': log_decay}
