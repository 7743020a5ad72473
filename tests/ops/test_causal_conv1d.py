import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck

from mmdefocus.ops import causal_conv1d

OPERATOR = 'causal_conv1d'
TOLERANCES = {torch.float32: 1e-6, torch.float16: 2e-3, torch.bfloat16: 1.5e-2}


def make_inputs(batch=2, length=23, channels=19, width=4, dtype=torch.float64):
    """Returns x, a half of a wider tensor as in the mixer, weight and bias."""
    generator = torch.Generator().manual_seed(0)
    shapes = (batch, length, 2 * channels), (channels, width), (channels,)
    x, *others = (torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes)
    return [t.to(dtype) for t in (x[..., channels:], *others)]


def torch_conv1d(x, weight, bias):
    channels, width = weight.shape
    y = F.conv1d(x.mT, weight.unsqueeze(1), bias, padding=width - 1, groups=channels)
    return F.silu(y[..., : x.shape[1]].mT)


@pytest.mark.parametrize(
    'sizes',
    [
        {},
        {'length': 1},
        {'length': 3},
        {'length': 64},
        {'length': 65, 'channels': 16},
        {'length': 130, 'channels': 8},
        {'width': 1},
        {'width': 7, 'length': 5},
        {'batch': 1, 'channels': 1},
    ],
    ids=str,
)
def test_equals_torch_conv1d_in_values_and_gradients(
    backend, sizes, differentiate, run_with_gradients
):
    inputs = make_inputs(**sizes)
    expected = differentiate(torch_conv1d, inputs)
    actual = run_with_gradients(inputs, backend)
    torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize('dtype', TOLERANCES)
def test_each_dtype_keeps_its_accuracy(
    backend, dtype, long, relative_error, differentiate, run_with_gradients
):
    inputs = make_inputs(length=long, dtype=dtype)
    expected, expected_grads = differentiate(torch_conv1d, [x.double() for x in inputs])
    y, grads = run_with_gradients(inputs, backend)
    for actual, exact in zip((y, *grads), (expected, *expected_grads), strict=True):
        assert actual.dtype == dtype
        assert relative_error(actual, exact) < TOLERANCES[dtype]


def test_gradcheck(backend):
    inputs = [x.requires_grad_() for x in make_inputs(1, 5, 3)]
    assert gradcheck(lambda *x: causal_conv1d(*x, backend=backend), inputs)


def test_any_strides_do(backend):
    x, weight, bias = make_inputs()
    scattered = x.mT.contiguous().mT
    assert scattered.stride(2) != 1
    expected = causal_conv1d(x, weight, bias, backend=backend)
    assert torch.equal(causal_conv1d(scattered, weight, bias, backend=backend), expected)


def test_future_tokens_do_not_matter(backend):
    x, weight, bias = make_inputs()
    changed = x.clone()
    changed[:, 6] += 1
    y, z = (causal_conv1d(t, weight, bias, backend=backend) for t in (x, changed))
    assert torch.equal(y[:, :6], z[:, :6])
    assert not torch.equal(y[:, 6:10], z[:, 6:10])
    assert torch.equal(y[:, 10:], z[:, 10:])


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            {'weight': torch.ones(5, 4)},
            r'weight: expected \(19, K\) for x \(2, 23, 19\), got \(5, 4\)',
        ),
        ({'weight': torch.ones(19, 0)}, r'weight: expected \(19, K\) .* with K >= 1'),
        ({'bias': torch.ones(18)}, r'bias: expected \(19,\) for x \(2, 23, 19\), got \(18,\)'),
        ({'x': torch.ones(3, 19)}, r'x: expected \(B, L, D\), got \(3, 19\)'),
        ({'bias': torch.ones(19, device='meta')}, 'bias: expected the device of x, cpu, got meta'),
    ],
)
def test_bad_input_is_named(change, message):
    inputs = dict(zip(('x', 'weight', 'bias'), make_inputs(), strict=True))
    with pytest.raises(ValueError, match=message):
        causal_conv1d(**(inputs | change))
