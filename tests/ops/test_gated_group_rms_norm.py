import pytest
import torch
from torch.autograd import gradcheck

from mmdefocus.ops import gated_group_rms_norm

OPERATOR = 'gated_group_rms_norm'
TOLERANCES = {torch.float32: 1e-6, torch.float16: 2e-3, torch.bfloat16: 1.5e-2}


def make_inputs(batch=2, length=23, channels=48, dtype=torch.float64):
    """Returns y, u, D, z; z is a half of a wider tensor as in the mixer."""
    generator = torch.Generator().manual_seed(0)
    shapes = [(batch, length, channels)] * 2 + [(channels,), (batch, length, 2 * channels)]
    y, u, D, z = (torch.randn(s, generator=generator, dtype=torch.float64) for s in shapes)
    return [t.to(dtype) for t in (y, u, D, z[..., :channels])]


def test_formula(backend):
    y, u, D, z = make_inputs()
    out = gated_group_rms_norm(y, u, D, z, 16, eps=0.5, backend=backend)
    for first in (0, 16, 32):
        group = slice(first, first + 16)
        rms = (y[..., group].square().mean(-1, keepdim=True) + 0.5).sqrt()
        gate = z[..., group] / (1 + torch.exp(-z[..., group]))
        expected = (y[..., group] / rms + u[..., group] * D[group]) * gate
        torch.testing.assert_close(out[..., group], expected)


@pytest.mark.parametrize('group_size', [48, 16, 12, 1])
@pytest.mark.parametrize('length', [1, 64, 131])
def test_equals_naive_in_values_and_gradients(backend, group_size, length, run_with_gradients):
    inputs = make_inputs(length=length)
    expected = run_with_gradients(inputs, 'naive', group_size=group_size)
    actual = run_with_gradients(inputs, backend, group_size=group_size)
    torch.testing.assert_close(actual, expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize('dtype', TOLERANCES)
def test_each_dtype_keeps_its_accuracy(backend, dtype, long, equals_naive):
    inputs = make_inputs(length=long, dtype=dtype)
    equals_naive(inputs, backend, TOLERANCES[dtype], group_size=16)


def test_gradcheck(backend):
    inputs = [x.requires_grad_() for x in make_inputs(1, 3, 8)]
    assert gradcheck(lambda *x: gated_group_rms_norm(*x, 4, backend=backend), inputs)


def test_a_group_of_zeros_stays_finite(backend):
    y, u, D, z = make_inputs()
    out = gated_group_rms_norm(torch.zeros_like(y), u, D, z, 16, backend=backend)
    torch.testing.assert_close(out, u * D * torch.nn.functional.silu(z))


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'group_size': 7}, r'group_size: expected a divisor of D = 48, got 7'),
        ({'group_size': 0}, r'group_size: expected a divisor of D = 48, got 0'),
        ({'u': torch.ones(2, 22, 48)}, r'u: expected \(2, 23, 48\) .* got \(2, 22, 48\)'),
        ({'D': torch.ones(47)}, r'D: expected \(48,\) .* got \(47,\)'),
        ({'z': torch.ones(2, 23, 48, device='meta')}, 'z: expected the device of y, cpu, got meta'),
    ],
)
def test_bad_input_is_named(change, message):
    inputs = dict(zip('yuDz', make_inputs(), strict=True)) | {'group_size': 16}
    with pytest.raises(ValueError, match=message):
        gated_group_rms_norm(**(inputs | change))
