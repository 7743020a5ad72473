import pytest
import torch
from torch.autograd import gradcheck

from mmdefocus.ops import available_backends, rms_norm

OPERATOR = 'rms_norm'
TOLERANCES = {torch.float32: 1e-6, torch.float16: 2e-3, torch.bfloat16: 1.5e-2}


def make_inputs(batch=2, length=23, channels=96, dtype=torch.float64):
    """Returns x and weight; x is a part of wider rows."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(batch, length, channels + 5, generator=generator, dtype=torch.float64)
    weight = torch.randn(channels, generator=generator, dtype=torch.float64)
    return [x[..., 5:].to(dtype), weight.to(dtype)]


def test_formula(backend):
    x, weight = make_inputs()
    rms = (x.square().mean(-1, keepdim=True) + 0.5).sqrt()
    torch.testing.assert_close(rms_norm(x, weight, 0.5, backend=backend), x / rms * weight)


@pytest.mark.parametrize('channels', [1, 7, 64, 768, 1000])
@pytest.mark.parametrize('length', [1, 64, 131])
def test_equals_naive_in_values_and_gradients(fast_backend, channels, length, run_with_gradients):
    inputs = make_inputs(length=length, channels=channels)
    actual, expected = (run_with_gradients(inputs, name) for name in (fast_backend, 'naive'))
    torch.testing.assert_close(actual, expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize('dtype', TOLERANCES)
def test_each_dtype_keeps_its_accuracy(backend, dtype, long, equals_naive):
    equals_naive(make_inputs(length=long, dtype=dtype), backend, TOLERANCES[dtype])


@pytest.mark.filterwarnings('ignore:Mismatch dtype')
def test_weight_may_be_wider_than_the_input(backend, equals_naive):
    x, weight = make_inputs(dtype=torch.bfloat16)
    equals_naive([x, weight.float()], backend, TOLERANCES[torch.bfloat16])


def test_any_strides_do(fast_backend, strides_do_not_matter):
    strides_do_not_matter(make_inputs(), fast_backend)


def test_gradcheck(backend):
    inputs = [x.requires_grad_() for x in make_inputs(1, 3, 8)]
    assert gradcheck(lambda *x: rms_norm(*x, backend=backend), inputs)


def test_tokens_of_zeros_stay_zero(backend):
    x, weight = make_inputs()
    assert torch.equal(rms_norm(0 * x, weight, backend=backend), 0 * x)


def test_nan_stays_in_its_token(backend):
    x, weight = make_inputs()
    x[0, 3, 1] = float('nan')
    y = rms_norm(x, weight, backend=backend)
    assert y[0, 3].isnan().all() and y[1].isfinite().all() and y[0, 4].isfinite().all()


def test_custom_operator_keeps_the_rules_of_torch():
    if available_backends('cpu')[OPERATOR]['cpu'] != 'available':
        pytest.skip('no compiler')
    inputs = [x.requires_grad_() for x in make_inputs(1, 3, 8)]
    torch.library.opcheck(torch.ops.mmdefocus.rms_norm_cpu, (*inputs, 1e-5))


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'x': torch.ones(23, 96)}, r'x: expected \(B, L, C\), got \(23, 96\)'),
        ({'weight': torch.ones(95)}, r'weight: expected \(96,\) .* got \(95,\)'),
        (
            {'weight': torch.ones(96, device='meta')},
            'weight: expected the device of x, cpu, got meta',
        ),
    ],
)
def test_bad_input_is_named(change, message):
    inputs = dict(zip(('x', 'weight'), make_inputs(), strict=True))
    with pytest.raises(ValueError, match=message):
        rms_norm(**(inputs | change))
