"""RMS normalisation as torch has it."""

import torch.nn.functional as F
from torch import Tensor

from ..numerics import wide_dtype


def naive_rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """See `rms_norm`. In wide sums, since torch 2.5 would round in between."""
    dtype = wide_dtype(x.dtype)
    return F.rms_norm(x.to(dtype), weight.shape, weight.to(dtype), eps).to(x.dtype)
