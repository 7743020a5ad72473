import pytest
import torch
from torch.autograd import gradcheck

from mmdefocus.ops import bi_wkv

from .shared import each_narrow_dtype

OPERATOR = 'bi_wkv'


def make_inputs(batch=2, length=23, channels=19, dtype=torch.float64, spread=1.0):
    """Returns k, v, w and u; some rates are negative, so that far tokens weigh more."""
    generator = torch.Generator().manual_seed(0)
    shapes = (batch, length, channels), (batch, length, channels), (channels,)
    k, v, u = (torch.randn(s, generator=generator, dtype=torch.float64) for s in shapes)
    w = torch.linspace(-5, 8, channels, dtype=torch.float64) / length
    return [x.to(dtype) for x in (spread * k, v, w, u)]


def one_token_after_another(k, v, w, u):
    """The definition, an output at a time."""
    outputs = []
    for t in range(k.shape[1]):
        weights = [
            (k[:, i] + u + 0 * w if i == t else k[:, i] - w * (abs(t - i) - 1)).exp()
            for i in range(k.shape[1])
        ]
        above = sum(weight * v[:, i] for i, weight in enumerate(weights))
        outputs.append(above / sum(weights))
    return torch.stack(outputs, dim=1)


SIZES = [
    {},
    {'length': 1},
    {'length': 2},
    {'length': 8, 'channels': 16},
    {'length': 33, 'channels': 70},
    {'batch': 1, 'channels': 1},
]


@pytest.mark.parametrize('sizes', SIZES, ids=str)
def test_equals_the_definition_in_values_and_gradients(
    backend, sizes, differentiate, run_with_gradients
):
    inputs = make_inputs(**sizes)
    torch.testing.assert_close(
        run_with_gradients(inputs, backend),
        differentiate(one_token_after_another, inputs),
        rtol=1e-10,
        atol=1e-10,
    )


@each_narrow_dtype
def test_each_dtype_keeps_its_accuracy(backend, dtype, tolerance, long, equals_naive):
    """The gradient of w is a difference of sums in which every distance is a factor."""
    inputs = make_inputs(length=long, dtype=dtype)
    equals_naive(inputs, backend, tolerance, max(2 * tolerance, 1e-5))


@pytest.mark.parametrize('size', [300.0, 1e4])
def test_extreme_keys_do_not_overflow(backend, size, differentiate, run_with_gradients):
    """One token then has all the weight: its value is the output, but for weights of 0."""
    k, v, w, u = make_inputs(spread=size, dtype=torch.float32)
    y, grads = run_with_gradients((k, v, w, u), backend)
    expected, _ = run_with_gradients([x.double() for x in (k, v, w, u)], 'naive')
    torch.testing.assert_close(y.double(), expected, rtol=1e-3, atol=1e-3)
    assert all(grad.isfinite().all() for grad in grads)


def test_equal_keys_without_decay_give_the_mean(backend):
    k, v, w, u = make_inputs()
    y = bi_wkv(torch.zeros_like(k), v, torch.zeros_like(w), torch.zeros_like(u), backend=backend)
    torch.testing.assert_close(y, v.mean(1, keepdim=True).expand_as(v))


def test_a_reversed_sequence_gives_the_reversed_output(backend):
    k, v, w, u = make_inputs()
    y = bi_wkv(k, v, w, u, backend=backend)
    reversed_y = bi_wkv(k.flip(1), v.flip(1), w, u, backend=backend)
    torch.testing.assert_close(reversed_y.flip(1), y)


def test_gradcheck(backend):
    inputs = [x.requires_grad_() for x in make_inputs(1, 5, 3)]
    assert gradcheck(lambda *x: bi_wkv(*x, backend=backend), inputs)


def test_any_strides_do(backend, strides_do_not_matter):
    strides_do_not_matter(make_inputs(), backend)


def test_keys_and_values_may_differ_in_dtype(backend, relative_error):
    k, v, w, u = make_inputs(dtype=torch.float32)
    y = bi_wkv(k.bfloat16(), v, w, u, backend=backend)
    expected = bi_wkv(k.bfloat16().float(), v, w, u, backend='naive')
    assert y.dtype == torch.float32 and relative_error(y, expected) < 2e-6


def test_the_backward_keeps_the_output_and_the_sums_of_the_weights_alone(
    fast_backend, kept_for_backward
):
    inputs = make_inputs()
    _, kept = kept_for_backward(lambda *x: bi_wkv(*x, backend=fast_backend), inputs)
    assert kept <= 2 * inputs[0].numel() + inputs[2].numel()


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'v': torch.ones(2, 22, 19)}, r'v: expected \(2, 23, 19\) .*, got \(2, 22, 19\)'),
        ({'w': torch.ones(18)}, r'w: expected \(19,\) .*, got \(18,\)'),
        ({'u': torch.ones(1, 19)}, r'u: expected \(19,\) .*, got \(1, 19\)'),
        ({'k': torch.ones(23, 19)}, r'k: expected \(B, L, C\), got \(23, 19\)'),
        ({'u': torch.ones(19, device='meta')}, 'u: expected the device of k, cpu, got meta'),
    ],
)
def test_bad_input_is_named(change, message):
    inputs = dict(zip(('k', 'v', 'w', 'u'), make_inputs(), strict=True))
    with pytest.raises(ValueError, match=message):
        bi_wkv(**(inputs | change))
