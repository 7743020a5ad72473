"""The decay of a head with the distance between two tokens."""

import torch
from torch import Tensor


def decay(log_decay: Tensor, distance: Tensor) -> Tensor:
    """Returns `exp(log_decay * distance)`, and 0 where that is below eps².

    So small a share is lost in the rounding of any sum with near tokens (eps² is 1.4e-14 in
    float32, 4.9e-32 in float64), but products of two such numbers are denormal, and a CPU
    multiplies matrices with denormals several times more slowly. NaN comes through.

    Args:
        log_decay: λ, broadcast against `distance`.
        distance: Tokens between two tokens, not negative.
    """
    return torch.threshold(
        torch.exp(log_decay * distance), torch.finfo(log_decay.dtype).eps ** 2, 0.0
    )
