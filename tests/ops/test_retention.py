"""Every backend against the naive one, in values and gradients."""

from functools import partial

import pytest
import torch
from torch.autograd import gradcheck

from mmdefocus.ops import operators, retention

from . import shared

OPERATOR = 'retention'


of_both = pytest.mark.parametrize('of_tokens', [False, True], ids=['a head', 'a token'])


def make_inputs(of_tokens=False, **sizes):
    """Returns heads whose queries are scaled, as retention leaves it to its caller."""
    q, k, v, log_decay = shared.make_heads(**sizes)
    if of_tokens:
        log_decay = shared.of_each_token(log_decay, len(q), q.shape[2])
    return q * q.shape[-1] ** -0.5, k, v, log_decay


def test_the_naive_backend_is_the_formula():
    q, k, v, log_decay = make_inputs(length=9)
    expected = torch.zeros_like(v)
    for t in range(9):
        for s in range(t + 1):
            decay = torch.exp(log_decay * (t - s))[:, None]
            expected[:, :, t] += decay * (q[:, :, t] * k[:, :, s]).sum(-1, True) * v[:, :, s]
    torch.testing.assert_close(retention(q, k, v, log_decay, backend='naive'), expected)


def test_the_naive_backend_is_the_formula_of_a_decay_for_each_token():
    q, k, v, log_decay = make_inputs(of_tokens=True, length=9)
    expected = torch.zeros_like(v)
    for t in range(9):
        for s in range(t + 1):
            decay = torch.exp(log_decay[:, :, s + 1 : t + 1].sum(-1, True))
            expected[:, :, t] += decay * (q[:, :, t] * k[:, :, s]).sum(-1, True) * v[:, :, s]
    torch.testing.assert_close(retention(q, k, v, log_decay, backend='naive'), expected)


@of_both
@shared.sizes_of_heads
def test_equals_naive_in_values_and_gradients(fast_backend, sizes, of_tokens, equals_naive):
    equals_naive(make_inputs(of_tokens, **sizes), fast_backend, 1e-12)


def test_equal_decays_of_tokens_equal_that_of_the_head(backend, long, run_with_gradients):
    q, k, v, log_decay = make_inputs(length=long)
    expected, (*_, of_heads) = run_with_gradients((q, k, v, log_decay), backend)
    of_tokens = log_decay[:, None].expand(len(q), -1, long)
    y, (*_, of_each) = run_with_gradients((q, k, v, of_tokens), backend)
    torch.testing.assert_close(y, expected)
    torch.testing.assert_close(of_each.sum((0, 2)), of_heads)


@of_both
def test_queries_and_keys_that_heads_share_are_those_of_each(
    backend, of_tokens, long, run_with_gradients
):
    q, k, v, log_decay = make_inputs(of_tokens, length=long)
    heads = v.shape[1]
    whole = [x[:, :1].expand(-1, heads, -1, -1) for x in (q, k)]
    expected, (*of_whole, dv, drates) = run_with_gradients((*whole, v, log_decay), backend)
    y, found = run_with_gradients((q[:, :1], k[:, :1], v, log_decay), backend)
    torch.testing.assert_close(y, expected)
    dq, dk = (x.sum(1, keepdim=True) for x in of_whole)
    torch.testing.assert_close(found, (dq, dk, dv, drates))


class TestAccuracy(shared.AccuracyTests):
    make_inputs = staticmethod(make_inputs)


class TestAccuracyOfTokens(shared.AccuracyTests):
    make_inputs = staticmethod(partial(make_inputs, True))


@of_both
def test_autocast_leaves_it_in_float32(backend, of_tokens, run_with_gradients):
    inputs = make_inputs(of_tokens, length=140, dtype=torch.float32)
    expected, expected_grads = run_with_gradients(inputs, backend)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        y, grads = run_with_gradients(inputs, backend)
    assert torch.equal(y, expected)
    assert all(map(torch.equal, grads, expected_grads))


@of_both
def test_any_strides_do(fast_backend, of_tokens, long, strides_do_not_matter):
    strides_do_not_matter(make_inputs(of_tokens, length=long), fast_backend)


@of_both
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
@shared.extreme_decays
def test_extreme_decay_is_exact(
    fast_backend, of_tokens, dtype, rate, relative_error, long, run_with_gradients
):
    inputs = make_inputs(of_tokens, length=long, dtype=dtype)
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


@pytest.mark.parametrize('bad', [float('nan'), float('inf')])
def test_nan_or_infinity_of_the_decay_spoils_no_earlier_token(backend, bad, differentiate):
    inputs = make_inputs(of_tokens=True, batch=1, length=70)
    operator = partial(retention, backend=backend)
    clean, clean_grads = differentiate(operator, inputs)
    inputs[3][0, 1, 67] = bad
    y, grads = differentiate(operator, inputs)
    assert torch.equal(y[:, :, :67], clean[:, :, :67])
    torch.testing.assert_close(grads[0][:, :, :67], clean_grads[0][:, :, :67])
    assert torch.equal(y[:, [0, 2]], clean[:, [0, 2]])
    assert not y[0, 1, 67:].isfinite().any()


@of_both
def test_gradcheck(backend, of_tokens):
    sizes = {'batch': 1, 'heads': 2, 'length': 5, 'width': 3}
    inputs = [x.requires_grad_() for x in make_inputs(of_tokens, **sizes)]
    assert gradcheck(lambda *x: retention(*x, backend=backend), inputs)


@of_both
@pytest.mark.parametrize(('backend', 'share'), [('parallel', 0.0), ('chunkwise', 4 / 385)])
def test_the_backward_keeps_far_less_than_all_states(backend, share, of_tokens, kept_for_backward):
    """Beside its inputs: nothing, or the state between chunks, here 4 of 385."""
    inputs = make_inputs(of_tokens, length=385)
    y, kept = kept_for_backward(partial(retention, backend=backend), inputs)
    all_states = y.numel() * inputs[0].shape[-1]
    assert kept == pytest.approx(share * all_states)


@pytest.mark.parametrize(('length', 'backend'), [(192, 'parallel'), (193, 'chunkwise')])
def test_auto_takes_the_backend_with_fewer_products(monkeypatch, length, backend):
    monkeypatch.delenv('MMDEFOCUS_BACKEND', raising=False)
    inputs = make_inputs(batch=1, heads=1, length=length, width=64, value_width=64)
    y = retention(*(x.requires_grad_() for x in inputs))
    assert f'retention_{backend}' in y.grad_fn.name()


@of_both
def test_custom_operator_keeps_the_rules_of_torch(fast_backend, of_tokens, place, long):
    inputs = [place(fast_backend, x).requires_grad_() for x in make_inputs(of_tokens, length=long)]
    retention(*inputs, backend=fast_backend)  # Triton is imported with the first call
    torch.library.opcheck(getattr(torch.ops.mmdefocus, f'retention_{fast_backend}'), inputs)


def test_bad_input_is_named(bad_heads):
    name, value, found = bad_heads
    inputs = dict(zip(shared.HEADS, make_inputs(), strict=True)) | {name: value}
    with pytest.raises(ValueError, match=f'^{name}:.*{found}'):
        retention(**inputs)


@pytest.mark.parametrize('sizes', [{'batch': 0}, {'length': 0}], ids=str)
def test_no_tokens_are_no_result_and_no_gradients(fast_backend, sizes, run_with_gradients):
    inputs = make_inputs(of_tokens=True, **sizes)
    y, grads = run_with_gradients(inputs, fast_backend)
    assert y.numel() == 0
    assert [x.shape for x in grads] == [x.shape for x in inputs]


@pytest.mark.parametrize('shape', [(2, 3, 22), (1, 3, 23), (2, 23, 3)], ids=str)
def test_decays_of_other_tokens_are_named(shape):
    q, k, v, _ = make_inputs()
    with pytest.raises(ValueError, match=r'^log_decay: expected \(2, 3, 23\) for q'):
        retention(q, k, v, -torch.ones(shape))


def test_heads_that_share_queries_share_the_keys():
    q, k, v, log_decay = make_inputs()
    with pytest.raises(ValueError, match=r'^k: expected \(2, 1, 23, 6\) for q'):
        retention(q[:, :1], k, v, log_decay)


def test_the_cost_of_products_that_heads_share_counts_once():
    q, k, v, log_decay = make_inputs(length=9)
    cost = operators()[OPERATOR].cost
    saved = 2 * (3 - 1) * 9 * 9 * 2 * 6  # of two images, in two of three heads
    assert cost(q, k, v, log_decay) - cost(q[:, :1], k[:, :1], v, log_decay) == saved


@of_both
@pytest.mark.parametrize('length', [9, 400])
def test_the_cost_is_that_of_the_products_and_the_decays(of_tokens, length):
    """A row of 9 tokens is dense; of 400, it is a chunk of 128 and the state."""
    inputs = make_inputs(of_tokens, length=length, width=6, value_width=5)
    row = 2 * (6 + 5) + (3 if of_tokens else 1)
    row = 9 * row if length == 9 else 128 * row + 4 * 6 * 5
    decays = 0 if of_tokens else 3 * length * 2
    assert operators()[OPERATOR].cost(*inputs) == 2 * 3 * length * row + decays
