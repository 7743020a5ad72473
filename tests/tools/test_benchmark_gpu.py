"""The comparison for GPUs, tried on a CPU at the smallest sizes and without torch.compile."""

import csv
import sys
from types import SimpleNamespace

import pytest
import torch

from mmdefocus import ops
from mmdefocus.benchmark.measure import gradients
from mmdefocus.benchmark.operators import OPERATORS, Shape, candidates


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


@pytest.fixture
def fla(monkeypatch):
    stand_in = SimpleNamespace(chunk_simple_gla=chunk_simple_gla)
    monkeypatch.setitem(sys.modules, 'fla.ops.simple_gla', stand_in)


@pytest.mark.parametrize(('peer', 'differentiated'), [('fla', 4), ('fla_fixed_decay', 3)])
def test_fla_computes_retention(fla, peer, differentiated):
    torch.manual_seed(0)
    inputs, dy = OPERATORS['retention'].arguments(Shape(2, 11, 192, 4), torch.float32)
    inputs = [x.requires_grad_() for x in inputs]
    found = candidates('retention')
    expected, actual = (
        [y, *gradients(y, inputs, dy)] for y in (found[name](*inputs) for name in ('naive', peer))
    )
    assert len(actual) == 1 + differentiated
    torch.testing.assert_close(actual, expected[: len(actual)], rtol=1e-4, atol=1e-4)


@pytest.fixture
def measured(load_tool, tmp_path, capsys):
    """`measured(*arguments)`: the pairs of group and candidate in the table, and what is said."""

    def run(*arguments):
        sizes = ('--shape', '1', '9', '64', '4', '--model', 'tiny', '--repeats', '1')
        options = ('--device', 'cpu', '--no-compile', *sizes, '--out', str(tmp_path))
        load_tool('benchmark/gpu').main([*options, *arguments])
        with (tmp_path / 'gpu.csv').open() as file:
            rows = list(csv.DictReader(file))
        assert all(float(row['median_ms']) > 0 and float(row['first_s']) > 0 for row in rows)
        return {(row['group'], row['candidate']) for row in rows}, capsys.readouterr().out

    return run


def test_operators_are_measured_beside_those_of_other_packages(measured, fla):
    pairs, _ = measured('--what', 'operators')
    assert {operator for operator, _ in pairs} == set(ops.available_backends())
    beside = {('causal_conv1d', 'Conv1d'), ('retention', 'fla'), ('retention', 'fla_fixed_decay')}
    assert beside < pairs


def test_the_mixer_is_measured_beside_the_released_order(measured):
    pairs, _ = measured('--what', 'mixers')
    assert pairs == {('mixer', 'ours'), ('mixer', 'released order')}


def test_steps_are_measured_and_a_model_that_is_not_installed_is_skipped(measured, monkeypatch):
    monkeypatch.setitem(sys.modules, 'timm', None)
    pairs, printed = measured('--what', 'steps')
    assert pairs == {('step', 'defocus_mamba_tiny')}
    assert 'deit_tiny is skipped' in printed and 'timm' in printed


def test_without_a_gpu_the_error_names_the_option(workshop, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    assert '--device cpu' in workshop.error('benchmark/gpu')
