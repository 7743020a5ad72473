"""Every backend against the naive one, in values and gradients."""

from functools import partial

import pytest
import torch
from torch.autograd import gradcheck

from mmdefocus.ops import retention

NAMES = ('q', 'k', 'v', 'log_decay')
OPERATOR = 'retention'


def make_inputs(batch=2, heads=3, length=23, width=6, value_width=5, dtype=torch.float64):
    """Returns q, k, v, log_decay, the first three in the layout of a mixer, `(B, L, H, K)`."""
    generator = torch.Generator().manual_seed(0)

    def normal(size):
        shape = (batch, length, heads, size)
        return torch.randn(shape, generator=generator, dtype=torch.float64).transpose(1, 2)

    q, k, v = normal(width) * width**-0.5, normal(width), normal(value_width)
    return tuple(x.to(dtype) for x in (q, k, v, -torch.logspace(-3, 0, heads)))


def test_the_naive_backend_is_the_formula():
    q, k, v, log_decay = make_inputs(length=9)
    expected = torch.zeros_like(v)
    for t in range(9):
        for s in range(t + 1):
            decay = torch.exp(log_decay * (t - s))[:, None]
            expected[:, :, t] += decay * (q[:, :, t] * k[:, :, s]).sum(-1, True) * v[:, :, s]
    torch.testing.assert_close(retention(q, k, v, log_decay, backend='naive'), expected)


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
def test_equals_naive_in_values_and_gradients(fast_backend, sizes, equals_naive):
    equals_naive(make_inputs(**sizes), fast_backend, 1e-12)


TOLERANCES = {torch.float32: 2e-6, torch.float16: 2e-3, torch.bfloat16: 1.5e-2}


@pytest.mark.parametrize('dtype', TOLERANCES)
def test_each_dtype_keeps_its_accuracy(backend, dtype, long, equals_naive):
    """The error stays near the rounding of the inputs and outputs: sums are float32."""
    inputs = make_inputs(length=long, dtype=dtype)
    equals_naive(inputs, backend, TOLERANCES[dtype], 2 * TOLERANCES[dtype])


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
@pytest.mark.parametrize('log_decay', [-100.0, -1e-6, 0.0])
def test_extreme_decay_is_exact(
    fast_backend, dtype, log_decay, relative_error, long, run_with_gradients
):
    q, k, v, rates = make_inputs(length=long, dtype=dtype)
    inputs = (q, k, v, torch.full_like(rates, log_decay))
    expected, expected_grads = run_with_gradients([x.double() for x in inputs], 'naive')
    y, grads = run_with_gradients(inputs, fast_backend)
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
    y = retention(**inputs, backend=backend)
    seen = {'q': slice(130, 131), 'log_decay': slice(1, None)}.get(name, slice(130, None))
    assert y[0, 1, seen].isnan().all()
    assert y[0, [0, 2]].isfinite().all()


@pytest.mark.parametrize('name', NAMES[:3])
@pytest.mark.parametrize('bad', [float('nan'), float('inf')])
def test_nan_or_infinity_spoils_no_earlier_token(backend, name, bad, differentiate):
    """Two blocks: the bad token is in the second of an interpreted kernel, others have one."""
    inputs = dict(zip(NAMES, make_inputs(batch=1, length=70), strict=True))
    clean = differentiate(partial(retention, backend=backend), inputs.values())
    inputs[name] = inputs[name].clone()
    inputs[name][0, 1, 67, 2] = bad
    y, grads = differentiate(partial(retention, backend=backend), inputs.values())
    torch.testing.assert_close(y[:, :, :67], clean[0][:, :, :67], rtol=0, atol=0)
    torch.testing.assert_close(grads[0][:, :, :67], clean[1][0][:, :, :67], rtol=1e-9, atol=1e-9)
    assert not y[0, 1, 67].isfinite().all()


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
    inputs = dict(zip(NAMES, make_inputs(), strict=True)) | {name: value}
    with pytest.raises(ValueError, match=f'^{name}:.*{found}'):
        retention(**inputs)
