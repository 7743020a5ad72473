"""Operators as `torch.export` takes them: plain tensor operations, no loop in Python.

Compiled operators and autograd functions cannot be exported, and a loop over tokens in Python would
be unrolled. They serve inference.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import torch
from torch import Tensor
from torch._higher_order_ops.scan import scan

from . import dispatch
from .attention.naive import naive_attention
from .causal_conv1d.naive import naive_causal_conv1d
from .gated_norm.naive import naive_gated_group_rms_norm
from .gated_scan.composed import composed_gated_scan
from .retention.parallel import dense_retention
from .rms_norm.naive import naive_rms_norm


@contextmanager
def exportable() -> Iterator[None]:
    """Within it, every operator runs in a form that can be exported."""
    operators = {
        'selective_scan': recurrent_scan,
        'causal_conv1d': naive_causal_conv1d,
        'gated_group_rms_norm': naive_gated_group_rms_norm,
        'gated_selective_scan': composed_gated_scan,
        'retention': dense_retention,
        'rms_norm': naive_rms_norm,
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


def recurrent_scan(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """See `selective_scan`. One step, which the exported program repeats along L (ONNX's Scan)."""

    def step(state: Tensor, token: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        u_t, delta_t, B_t, C_t = token
        decay = torch.exp(delta_t.unsqueeze(-1) * A)
        state = decay * state + (delta_t * u_t).unsqueeze(-1) * B_t.unsqueeze(1)
        return state, (state * C_t.unsqueeze(1)).sum(-1)

    _, y = scan(step, u.new_zeros(u.shape[0], *A.shape), (u, delta, B, C), dim=2)
    return y.movedim(0, 2)
