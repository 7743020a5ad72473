"""Every backend against the naive one, in values and gradients."""

from functools import partial

import pytest
import torch
from torch.autograd import gradcheck
from torch.nn.functional import scaled_dot_product_attention

from mmdefocus.ops import decayed_attention

from . import shared

OPERATOR = 'decayed_attention'
both_directions = pytest.mark.parametrize('causal', [True, False], ids=['causal', 'non_causal'])


@both_directions
def test_the_naive_backend_is_the_formula(causal):
    q, k, v, log_decay = shared.make_heads(length=9)
    y = decayed_attention(q, k, v, log_decay, causal=causal, backend='naive')
    for t in range(9):
        seen = t + 1 if causal else 9
        decay = torch.exp(log_decay[:, None] * (t - torch.arange(seen)).abs())
        logits = decay * torch.einsum('bhk,bhsk->bhs', q[:, :, t], k[:, :, :seen]) / 6**0.5
        expected = torch.einsum('bhs,bhsv->bhv', logits.softmax(-1), v[:, :, :seen])
        torch.testing.assert_close(y[:, :, t], expected)


@both_directions
def test_without_decay_it_is_the_attention_of_torch(backend, causal, long):
    q, k, v, log_decay = shared.make_heads(length=long)
    y = decayed_attention(q, k, v, torch.zeros_like(log_decay), causal=causal, backend=backend)
    expected = scaled_dot_product_attention(q, k, v, is_causal=causal)
    torch.testing.assert_close(y, expected)


@both_directions
@shared.sizes_of_heads
def test_equals_naive_in_values_and_gradients(fast_backend, causal, sizes, equals_naive):
    equals_naive(shared.make_heads(**sizes), fast_backend, 1e-12, causal=causal)


def test_large_logits_do_not_overflow(fast_backend, relative_error, run_with_gradients):
    q, k, v, log_decay = shared.make_heads(length=140, dtype=torch.float32)
    inputs = (q * 100, k * 100, v, log_decay)
    y, grads = run_with_gradients(inputs, fast_backend)
    expected, _ = run_with_gradients([x.double() for x in inputs], 'naive')
    assert relative_error(y, expected) < 1e-3  # logits of 1e4 have an absolute error of 1e-3
    assert all(grad.isfinite().all() for grad in grads)


class TestAccuracy(shared.AccuracyTests):
    make_inputs = staticmethod(shared.make_heads)


def test_autocast_leaves_it_in_float32(backend, run_with_gradients):
    inputs = shared.make_heads(length=140, dtype=torch.float32)
    expected, _ = run_with_gradients(inputs, backend)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        y = decayed_attention(*inputs, backend=backend)
    assert torch.equal(y, expected)


def test_autocast_leaves_the_backward_in_float32(fast_backend, run_with_gradients):
    inputs = shared.make_heads(length=140, dtype=torch.float32)
    _, expected_grads = run_with_gradients(inputs, fast_backend)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        _, grads = run_with_gradients(inputs, fast_backend)
    assert all(map(torch.equal, grads, expected_grads))


def test_any_strides_do(fast_backend, long, strides_do_not_matter):
    strides_do_not_matter(shared.make_heads(length=long), fast_backend)


@both_directions
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
@shared.extreme_decays
def test_extreme_decay_is_exact(
    fast_backend, causal, dtype, rate, relative_error, long, run_with_gradients
):
    inputs = shared.make_heads(length=long, dtype=dtype)
    run = partial(run_with_gradients, causal=causal)
    shared.check_decay(run, relative_error, inputs, fast_backend, rate)


@pytest.mark.parametrize('name', shared.HEADS)
def test_nan_comes_through(backend, name):
    y = decayed_attention(**shared.heads_with_nan(name), backend=backend)
    seen = {'q': slice(130, 131), 'log_decay': slice(None)}.get(name, slice(130, None))
    shared.check_nan(y, name, seen)


@pytest.mark.parametrize('name', shared.HEADS[:3])
@pytest.mark.parametrize('bad', [float('nan'), float('inf')])
def test_nan_or_infinity_spoils_no_earlier_token(backend, name, bad, differentiate):
    shared.check_earlier_tokens(
        differentiate, partial(decayed_attention, backend=backend), name, bad
    )


@both_directions
def test_gradcheck(backend, causal):
    inputs = [x.requires_grad_() for x in shared.make_heads(batch=1, heads=2, length=5, width=3)]
    assert gradcheck(lambda *x: decayed_attention(*x, causal=causal, backend=backend), inputs)


def test_the_backward_keeps_no_logits(fast_backend, kept_for_backward):
    """Beside its inputs: the output and one number a query."""
    inputs = shared.make_heads(length=300)
    y, kept = kept_for_backward(partial(decayed_attention, backend=fast_backend), inputs)
    assert kept == y.numel() + inputs[0][..., 0].numel()


def test_custom_operator_keeps_the_rules_of_torch():
    inputs = [x.requires_grad_() for x in shared.make_heads(length=130)]
    torch.library.opcheck(torch.ops.mmdefocus.decayed_attention_fused, (*inputs, True))


@both_directions
def test_compiles_without_a_graph_break(fast_backend, causal, differentiate, run_with_gradients):
    inputs = shared.make_heads(length=140)
    expected = run_with_gradients(inputs, fast_backend, causal=causal)
    compiled = torch.compile(
        lambda *x: decayed_attention(*x, causal=causal, backend=fast_backend),
        fullgraph=True,
        backend='aot_eager',
    )
    torch.testing.assert_close(differentiate(compiled, inputs), expected)


def test_bad_input_is_named(bad_heads):
    name, value, found = bad_heads
    inputs = dict(zip(shared.HEADS, shared.make_heads(), strict=True)) | {name: value}
    with pytest.raises(ValueError, match=f'^{name}:.*{found}'):
        decayed_attention(**inputs)
