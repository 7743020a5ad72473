"""Every backend that this machine has, against the naive one and the released implementation."""

import importlib
from functools import partial
from pathlib import Path

import pytest
import torch
from torch.autograd import gradcheck

from mmdefocus.ops import selective_scan

from .shared import TOLERANCES, AccuracyTests

DATA = Path(__file__).parents[1] / 'data'
NAMES = ('u', 'delta', 'A', 'B', 'C')
OPERATOR = 'selective_scan'


def make_inputs(batch=2, channels=19, length=23, state=16, dtype=torch.float64, delta=0.3):
    """Returns u, delta, A, B, C in the layout of the mixer, `(B, L, D)` seen as `(B, D, L)`."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    u = normal(batch, length, 2 * channels)[..., :channels].mT
    steps = normal(batch, length, channels).abs().mul(delta).mT
    rates = -normal(channels, state).abs() - 0.1
    projections = normal(batch, length, 3 + 2 * state)
    B, C = projections[..., 3 : 3 + state].mT, projections[..., 3 + state :].mT
    return tuple(x.to(dtype) for x in (u, steps, rates, B, C))


def test_parity_with_the_released_scan(backend, relative_error):
    np = pytest.importorskip('numpy')
    golden = {k: torch.from_numpy(v) for k, v in np.load(DATA / 'scan.npz').items()}
    inputs = [golden[name].requires_grad_() for name in NAMES]
    y = selective_scan(*inputs, backend=backend)
    y.backward(golden['dy'])
    assert relative_error(y, golden['y']) <= 1e-10
    for name, tensor in zip(NAMES, inputs, strict=True):
        assert relative_error(tensor.grad, golden[f'd{name}']) <= 1e-10


@pytest.mark.parametrize(
    'sizes',
    [
        {'length': 1},
        {'length': 2},
        {'length': 197},
        {'length': 70, 'batch': 1, 'channels': 40},
        {'length': 64, 'channels': 16},
        {'batch': 1, 'channels': 33, 'length': 50},
        {'batch': 3, 'channels': 1},
        {'state': 1},
        {'state': 5},
        {'state': 8},
        {'state': 64, 'length': 9},
    ],
    ids=str,
)
def test_equals_naive_in_values_and_gradients(fast_backend, sizes, equals_naive):
    equals_naive(make_inputs(**sizes), fast_backend, 1e-12)


def test_equals_naive_with_the_images_in_parts(fast_backend, equals_naive, monkeypatch):
    if fast_backend == 'triton':  # three images, then two
        module = importlib.import_module('mmdefocus.ops.selective_scan.triton')
        monkeypatch.setattr(module, 'AT_ONCE', 10)
    equals_naive(make_inputs(batch=5, channels=33, length=20), fast_backend, 1e-12)


class TestAccuracy(AccuracyTests):
    make_inputs = staticmethod(make_inputs)


def test_time_steps_may_be_wider_than_the_input(backend, equals_naive):
    """As in a mixer under autocast, whose time steps are float32 and whose u is bfloat16."""
    u, delta, A, B, C = make_inputs(dtype=torch.bfloat16)
    inputs = u, delta.float(), A.float(), B.float(), C
    tolerance = TOLERANCES[torch.bfloat16]
    equals_naive(inputs, backend, tolerance, 2 * tolerance)


def test_autocast_leaves_the_recurrence_in_float32(backend, relative_error, run_with_gradients):
    inputs = make_inputs(dtype=torch.float32)
    expected, expected_grads = run_with_gradients(inputs, backend)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        y, grads = run_with_gradients(inputs, backend)
    assert y.dtype == torch.float32
    torch.testing.assert_close(y, expected, rtol=1e-6, atol=1e-6)
    for grad, expected_grad in zip(grads, expected_grads, strict=True):
        assert relative_error(grad, expected_grad) < 1e-5


def test_any_strides_do(fast_backend, strides_do_not_matter):
    strides_do_not_matter(make_inputs(length=31), fast_backend)


@pytest.mark.parametrize('exponent', [-100.0, -1e-6])
def test_extreme_decay_is_exact(fast_backend, exponent, run_with_gradients):
    u, delta, A, B, C = make_inputs(length=40)
    delta, A = torch.ones_like(delta), torch.full_like(A, exponent)
    expected, expected_grads = run_with_gradients((u, delta, A, B, C), 'naive')
    y, grads = run_with_gradients((u, delta, A, B, C), fast_backend)
    torch.testing.assert_close(y, expected)
    torch.testing.assert_close(grads, expected_grads)


def test_inference_gives_what_training_gives(fast_backend, run_with_gradients):
    inputs = make_inputs(length=40)
    y, _ = run_with_gradients(inputs, fast_backend)
    with torch.no_grad():
        assert torch.equal(selective_scan(*inputs, backend=fast_backend), y)


def test_nan_comes_through(backend):
    u, delta, A, B, C = make_inputs(batch=1, channels=3, length=8)
    delta = delta.clone()
    delta[0, 1, 4] = float('nan')
    y = selective_scan(u, delta, A, B, C, backend=backend)
    assert y[0, 1, 4:].isnan().all()
    assert y[0, 1, :4].isfinite().all() and y[0, [0, 2]].isfinite().all()


def test_gradcheck(backend):
    inputs = [x.requires_grad_() for x in make_inputs(batch=1, channels=3, length=5, state=2)]
    assert gradcheck(lambda *x: selective_scan(*x, backend=backend), inputs)


def test_the_backward_keeps_far_less_than_all_states(fast_backend, kept_for_backward):
    inputs = make_inputs(length=400, channels=32, state=16)
    y, kept = kept_for_backward(partial(selective_scan, backend=fast_backend), inputs)
    assert kept <= 0.1 * y.numel() * 16


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('u', torch.ones(4, 7)),
        ('delta', torch.ones(2, 19, 5)),
        ('A', torch.ones(18, 16)),
        ('B', torch.ones(2, 15, 23)),
        ('C', torch.ones(1, 16, 23)),
        ('delta', torch.ones(2, 19, 23, dtype=torch.int64)),
        ('B', torch.ones(2, 16, 23, device='meta')),
    ],
)
def test_bad_input_is_named(name, value):
    inputs = dict(zip(NAMES, make_inputs(), strict=True))
    inputs[name] = value
    with pytest.raises(ValueError, match=f'^{name}:'):
        selective_scan(**inputs)
