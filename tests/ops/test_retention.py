"""Every backend against the naive one, in values and gradients."""

from functools import partial

import pytest
import torch
from torch.autograd import gradcheck

from mmdefocus.ops import retention

from . import shared

OPERATOR = 'retention'


def make_inputs(**sizes):
    """Returns heads whose queries are scaled, as retention leaves it to its caller."""
    q, *others = shared.make_heads(**sizes)
    return q * q.shape[-1] ** -0.5, *others


def test_the_naive_backend_is_the_formula():
    q, k, v, log_decay = make_inputs(length=9)
    expected = torch.zeros_like(v)
    for t in range(9):
        for s in range(t + 1):
            decay = torch.exp(log_decay * (t - s))[:, None]
            expected[:, :, t] += decay * (q[:, :, t] * k[:, :, s]).sum(-1, True) * v[:, :, s]
    torch.testing.assert_close(retention(q, k, v, log_decay, backend='naive'), expected)


@shared.sizes_of_heads
def test_equals_naive_in_values_and_gradients(fast_backend, sizes, equals_naive):
    equals_naive(make_inputs(**sizes), fast_backend, 1e-12)


class TestAccuracy(shared.AccuracyTests):
    make_inputs = staticmethod(make_inputs)


def test_autocast_leaves_it_in_float32(backend, run_with_gradients):
    inputs = make_inputs(length=140, dtype=torch.float32)
    expected, expected_grads = run_with_gradients(inputs, backend)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        y, grads = run_with_gradients(inputs, backend)
    assert torch.equal(y, expected)
    assert all(map(torch.equal, grads, expected_grads))


def test_any_strides_do(fast_backend, long, strides_do_not_matter):
    strides_do_not_matter(make_inputs(length=long), fast_backend)


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
@shared.extreme_decays
def test_extreme_decay_is_exact(
    fast_backend, dtype, rate, relative_error, long, run_with_gradients
):
    inputs = make_inputs(length=long, dtype=dtype)
    shared.check_decay(run_with_gradients, relative_error, inputs, fast_backend, rate)


@pytest.mark.parametrize('name', shared.HEADS)
def test_nan_comes_through(backend, name):
    y = retention(**shared.heads_with_nan(name), backend=backend)
    seen = {'q': slice(130, 131), 'log_decay': slice(1, None)}.get(name, slice(130, None))
    shared.check_nan(y, name, seen)


@pytest.mark.parametrize('name', shared.HEADS[:3])
@pytest.mark.parametrize('bad', [float('nan'), float('inf')])
def test_nan_or_infinity_spoils_no_earlier_token(backend, name, bad, differentiate):
    shared.check_earlier_tokens(differentiate, partial(retention, backend=backend), name, bad)


def test_gradcheck(backend):
    inputs = [x.requires_grad_() for x in make_inputs(batch=1, heads=2, length=5, width=3)]
    assert gradcheck(lambda *x: retention(*x, backend=backend), inputs)


@pytest.mark.parametrize(('backend', 'share'), [('parallel', 0.0), ('chunkwise', 4 / 385)])
def test_the_backward_keeps_far_less_than_all_states(backend, share, kept_for_backward):
    """Beside its inputs: nothing, or the state between chunks, here 4 of 385."""
    inputs = make_inputs(length=385)
    y, kept = kept_for_backward(partial(retention, backend=backend), inputs)
    all_states = y.numel() * inputs[0].shape[-1]
    assert kept == pytest.approx(share * all_states)


@pytest.mark.parametrize(('length', 'backend'), [(192, 'parallel'), (193, 'chunkwise')])
def test_auto_takes_the_backend_with_fewer_products(monkeypatch, length, backend):
    monkeypatch.delenv('MMDEFOCUS_BACKEND', raising=False)
    inputs = make_inputs(batch=1, heads=1, length=length, width=64, value_width=64)
    y = retention(*(x.requires_grad_() for x in inputs))
    assert f'retention_{backend}' in y.grad_fn.name()


def test_custom_operator_keeps_the_rules_of_torch(fast_backend, place, long):
    inputs = [place(fast_backend, x).requires_grad_() for x in make_inputs(length=long)]
    torch.library.opcheck(getattr(torch.ops.mmdefocus, f'retention_{fast_backend}'), inputs)


def test_bad_input_is_named(bad_heads):
    name, value, found = bad_heads
    inputs = dict(zip(shared.HEADS, make_inputs(), strict=True)) | {name: value}
    with pytest.raises(ValueError, match=f'^{name}:.*{found}'):
        retention(**inputs)
