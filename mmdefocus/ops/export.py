"""Operators as `torch.export` takes them: plain tensor operations, without loops over tokens.

Compiled operators and autograd functions cannot be exported, and a loop over tokens would be
unrolled. They serve inference: autograd would keep every step of the scan.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor

from . import dispatch
from .attention.naive import naive_attention
from .causal_conv1d.naive import naive_causal_conv1d
from .gated_norm.naive import naive_gated_group_rms_norm
from .retention.parallel import dense_retention


@contextmanager
def exportable() -> Iterator[None]:
    """Within it, every operator runs in a form that can be exported."""
    operators = {
        'selective_scan': scan_by_doubling,
        'causal_conv1d': naive_causal_conv1d,
        'gated_group_rms_norm': naive_gated_group_rms_norm,
        'retention': dense_retention,
        'decayed_attention': naive_attention,
    }
    tables = {
        name: {'export': dispatch.Backend(run, dispatch.always)} for name, run in operators.items()
    }
    with (
        patch.dict(dispatch._OPERATORS, tables),
        patch.dict('os.environ', {'MMDEFOCUS_BACKEND': 'auto'}),
    ):
        yield


def scan_by_doubling(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """See `selective_scan`. Joins pieces of 1, 2, 4, … tokens, so that log2(L) steps are enough.

    A piece that ends at token t turns the state h before it into `decay h + state`. Two pieces in
    a row are again one: with the decay `decay_2 decay_1` and the state `decay_2 state_1 + state_2`.
    No exponent is positive. Each step works on `(B, D, L, N)` numbers.
    """
    decay = torch.exp(delta.unsqueeze(-1) * A.unsqueeze(1))
    state = (delta * u).unsqueeze(-1) * B.mT.unsqueeze(1)
    length, size = u.shape[2], 1
    while size < length:
        # the piece before begins outside the sequence where the state is 0
        state = state + decay * F.pad(state[:, :, :-size], (0, 0, size, 0))
        decay = decay * F.pad(decay[:, :, :-size], (0, 0, size, 0))
        size *= 2
    return (state * C.mT.unsqueeze(1)).sum(-1)
