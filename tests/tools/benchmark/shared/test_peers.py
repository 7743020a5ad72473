"""What other packages compute, by their own code or a stand-in for it, against our operators."""

import sys
from types import SimpleNamespace

import pytest
import torch

from mmdefocus.ops.operator import Shape
from shared.measure import gradients
from shared.operators import SUBJECTS, candidates


def results(call, function):
    y = call.of(function)()
    return [y, *gradients(y, call.inputs, call.gradient)]


@pytest.mark.parametrize(
    ('operator', 'peer', 'dtype', 'tolerance'),
    [
        ('selective_scan', 'mambapy', torch.float64, 1e-10),
        ('selective_scan', 'mamba_ssm_ref', torch.float32, 1e-4),
        ('causal_conv1d', 'Conv1d', torch.float64, 1e-10),
        ('gated_selective_scan', 'parts', torch.float64, 1e-10),
    ],
)
def test_peer_computes_the_same(operator, peer, dtype, tolerance):
    found = candidates(operator)
    if isinstance(found[peer], str):
        pytest.skip(found[peer])
    call = SUBJECTS[operator].call(Shape(2, 11, 64, 4), dtype, 'cpu')
    expected, actual = (results(call, found[name]) for name in ('naive', peer))
    torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance)


def chunk_simple_gla(q, k, v, g=None, g_gamma=None, scale=None):
    """What fla computes, as a recurrence in its layout; the decay of a head gets no gradient."""
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    gates = g_gamma.detach().expand(q.shape[:3]) if g is None else g
    state, outputs = 0, []
    for t in range(q.shape[1]):
        kept = gates[:, t].exp()[..., None, None] * state
        state = kept + k[:, t].unsqueeze(-1) * v[:, t].unsqueeze(-2)
        outputs.append(scale * (q[:, t].unsqueeze(-1) * state).sum(-2))
    return torch.stack(outputs, dim=1), None


@pytest.mark.parametrize(('peer', 'differentiated'), [('fla', 4), ('fla_fixed_decay', 3)])
def test_fla_computes_retention(monkeypatch, peer, differentiated):
    stand_in = SimpleNamespace(chunk_simple_gla=chunk_simple_gla)
    monkeypatch.setitem(sys.modules, 'fla.ops.simple_gla', stand_in)
    call = SUBJECTS['retention'].call(Shape(2, 11, 192, 4), torch.float32, 'cpu')
    found = candidates('retention')
    expected, actual = (results(call, found[name]) for name in ('naive', peer))
    assert len(actual) == 1 + differentiated
    torch.testing.assert_close(actual, expected[: len(actual)], rtol=1e-4, atol=1e-4)


def test_peer_does_not_hide_a_backend_of_its_package():
    assert candidates('selective_scan')['mamba_ssm'] == 'is for CUDA devices'
