"""Every backend against the naive one, in values and gradients."""

from functools import partial

import pytest
import torch
from torch.autograd import gradcheck
from torch.nn.functional import scaled_dot_product_attention

from mmdefocus.ops import decayed_attention

NAMES = ('q', 'k', 'v', 'log_decay')
OPERATOR = 'decayed_attention'
both_directions = pytest.mark.parametrize('causal', [True, False], ids=['causal', 'non_causal'])


def make_inputs(batch=2, heads=3, length=23, width=6, value_width=5, dtype=torch.float64):
    """Returns q, k, v, log_decay, the first three in the layout of a mixer, `(B, L, H, K)`."""
    generator = torch.Generator().manual_seed(0)

    def normal(size):
        shape = (batch, length, heads, size)
        return torch.randn(shape, generator=generator, dtype=torch.float64).transpose(1, 2)

    tensors = (normal(width), normal(width), normal(value_width), -torch.logspace(-3, 0, heads))
    return tuple(x.to(dtype) for x in tensors)


@both_directions
def test_the_naive_backend_is_the_formula(causal):
    q, k, v, log_decay = make_inputs(length=9)
    y = decayed_attention(q, k, v, log_decay, causal=causal, backend='naive')
    for t in range(9):
        seen = t + 1 if causal else 9
        decay = torch.exp(log_decay[:, None] * (t - torch.arange(seen)).abs())
        logits = decay * torch.einsum('bhk,bhsk->bhs', q[:, :, t], k[:, :, :seen]) / 6**0.5
        expected = torch.einsum('bhs,bhsv->bhv', logits.softmax(-1), v[:, :, :seen])
        torch.testing.assert_close(y[:, :, t], expected)


@both_directions
def test_without_decay_it_is_the_attention_of_torch(backend, causal, long):
    q, k, v, log_decay = make_inputs(length=long)
    y = decayed_attention(q, k, v, torch.zeros_like(log_decay), causal=causal, backend=backend)
    expected = scaled_dot_product_attention(q, k, v, is_causal=causal)
    torch.testing.assert_close(y, expected)


@both_directions
@pytest.mark.parametrize(
    'sizes',
    [
        {'length': 1},
        {'length': 2},
        {'length': 127},
        {'length': 128},
        {'length': 129},
        {'length': 70, 'batch': 1, 'heads': 1},
        {'length': 301},
        {'batch': 1, 'heads': 1},
        {'width': 1, 'value_width': 1},
        {'width': 32, 'value_width': 64, 'length': 150},
    ],
    ids=str,
)
def test_equals_naive_in_values_and_gradients(fast_backend, causal, sizes, equals_naive):
    equals_naive(make_inputs(**sizes), fast_backend, 1e-12, causal=causal)


def test_large_logits_do_not_overflow(fast_backend, relative_error, run_with_gradients):
    q, k, v, log_decay = make_inputs(length=140, dtype=torch.float32)
    inputs = (q * 100, k * 100, v, log_decay)
    y, grads = run_with_gradients(inputs, fast_backend)
    expected, _ = run_with_gradients([x.double() for x in inputs], 'naive')
    assert relative_error(y, expected) < 1e-3  # logits of 1e4 have an absolute error of 1e-3
    assert all(grad.isfinite().all() for grad in grads)


TOLERANCES = {torch.float32: 2e-6, torch.float16: 2e-3, torch.bfloat16: 1.5e-2}


@pytest.mark.parametrize('dtype', TOLERANCES)
def test_each_dtype_keeps_its_accuracy(backend, dtype, long, equals_naive):
    """The error stays near the rounding of the inputs and outputs: logits are float32."""
    inputs = make_inputs(length=long, dtype=dtype)
    equals_naive(inputs, backend, TOLERANCES[dtype], 2 * TOLERANCES[dtype])


def test_autocast_leaves_it_in_float32(backend, run_with_gradients):
    inputs = make_inputs(length=140, dtype=torch.float32)
    expected, _ = run_with_gradients(inputs, backend)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        y = decayed_attention(*inputs, backend=backend)
    assert torch.equal(y, expected)


def test_autocast_leaves_the_backward_in_float32(fast_backend, run_with_gradients):
    inputs = make_inputs(length=140, dtype=torch.float32)
    _, expected_grads = run_with_gradients(inputs, fast_backend)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        _, grads = run_with_gradients(inputs, fast_backend)
    assert all(map(torch.equal, grads, expected_grads))


def test_any_strides_do(fast_backend, long, strides_do_not_matter):
    strides_do_not_matter(make_inputs(length=long), fast_backend)


@both_directions
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
@pytest.mark.parametrize('log_decay', [-100.0, -1e-6, 0.0])
def test_extreme_decay_is_exact(
    fast_backend, causal, dtype, log_decay, relative_error, long, run_with_gradients
):
    q, k, v, rates = make_inputs(length=long, dtype=dtype)
    inputs = (q, k, v, torch.full_like(rates, log_decay))
    expected, expected_grads = run_with_gradients(
        [x.double() for x in inputs], 'naive', causal=causal
    )
    y, grads = run_with_gradients(inputs, fast_backend, causal=causal)
    tolerance = 1e-12 if dtype == torch.float64 else 2e-6
    assert relative_error(y, expected) < tolerance
    for grad, expected_grad in zip(grads[:3], expected_grads[:3], strict=True):
        assert relative_error(grad, expected_grad) < tolerance
    if log_decay == -100:  # the gradient of the decay is below eps², which counts as 0
        assert grads[3].abs().max() < 1e-30
    else:
        assert relative_error(grads[3], expected_grads[3]) < 10 * tolerance


@pytest.mark.parametrize('name', NAMES)
def test_nan_comes_through(backend, name):
    inputs = dict(zip(NAMES, make_inputs(batch=1, length=140), strict=True))
    inputs[name] = inputs[name].clone()
    inputs[name][(1,) if name == 'log_decay' else (0, 1, 130)] = float('nan')
    y = decayed_attention(**inputs, backend=backend)
    seen = {'q': slice(130, 131), 'log_decay': slice(None)}.get(name, slice(130, None))
    assert y[0, 1, seen].isnan().all()
    assert y[0, [0, 2]].isfinite().all()


@pytest.mark.parametrize('name', NAMES[:3])
@pytest.mark.parametrize('bad', [float('nan'), float('inf')])
def test_nan_or_infinity_spoils_no_earlier_token(backend, name, bad, differentiate):
    """Two blocks: the bad token is in the second of an interpreted kernel, others have one."""
    inputs = dict(zip(NAMES, make_inputs(batch=1, length=70), strict=True))
    clean = differentiate(partial(decayed_attention, backend=backend), inputs.values())
    inputs[name] = inputs[name].clone()
    inputs[name][0, 1, 67, 2] = bad
    y, grads = differentiate(partial(decayed_attention, backend=backend), inputs.values())
    torch.testing.assert_close(y[:, :, :67], clean[0][:, :, :67], rtol=0, atol=0)
    torch.testing.assert_close(grads[0][:, :, :67], clean[1][0][:, :, :67], rtol=1e-9, atol=1e-9)
    assert not y[0, 1, 67].isfinite().all()


@both_directions
def test_gradcheck(backend, causal):
    inputs = [x.requires_grad_() for x in make_inputs(batch=1, heads=2, length=5, width=3)]
    assert gradcheck(lambda *x: decayed_attention(*x, causal=causal, backend=backend), inputs)


def test_the_backward_keeps_no_logits(fast_backend, kept_for_backward):
    """Beside its inputs: the output and one number a query."""
    inputs = make_inputs(length=300)
    y, kept = kept_for_backward(partial(decayed_attention, backend=fast_backend), inputs)
    assert kept == y.numel() + inputs[0][..., 0].numel()


def test_custom_operator_keeps_the_rules_of_torch():
    inputs = [x.requires_grad_() for x in make_inputs(length=130)]
    torch.library.opcheck(torch.ops.mmdefocus.decayed_attention_fused, (*inputs, True))


@both_directions
def test_compiles_without_a_graph_break(fast_backend, causal, differentiate, run_with_gradients):
    inputs = make_inputs(length=140)
    expected = run_with_gradients(inputs, fast_backend, causal=causal)
    compiled = torch.compile(
        lambda *x: decayed_attention(*x, causal=causal, backend=fast_backend),
        fullgraph=True,
        backend='aot_eager',
    )
    torch.testing.assert_close(differentiate(compiled, inputs), expected)


def test_bad_input_is_named(bad_heads):
    name, value, found = bad_heads
    inputs = dict(zip(NAMES, make_inputs(), strict=True)) | {name: value}
    with pytest.raises(ValueError, match=f'^{name}:.*{found}'):
        decayed_attention(**inputs)
