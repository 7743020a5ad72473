import pytest
import torch

from mmdefocus.ops import apply_rotary

from .shared import TOLERANCES

OPERATOR = 'apply_rotary'
LAYOUTS = {
    'heads, token by token': ((2, 23, 3, 6), (3, 6)),
    'heads of one frequency each way': ((2, 23, 3, 16), (16,)),
    'no heads': ((3, 23, 10), (10,)),
    'an image for itself': ((23, 2), (2,)),
    'more dimensions': ((2, 3, 4, 23, 6), (3, 1, 6)),
}

each_layout = pytest.mark.parametrize(('shape', 'freqs'), LAYOUTS.values(), ids=LAYOUTS)


def make_inputs(shape, freqs, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)
    x = x.transpose(1, 2) if len(shape) == 4 else x
    return x, torch.rand(freqs, generator=generator, dtype=torch.float64).to(dtype)


@each_layout
def test_values_and_gradients_equal_the_formula(shape, freqs, fast_backend, equals_naive):
    inputs = make_inputs(shape, freqs)
    equals_naive(inputs, fast_backend, 1e-12, positions=torch.arange(23))


@each_layout
@pytest.mark.parametrize(('dtype', 'tolerance'), TOLERANCES.items())
def test_each_dtype_keeps_its_accuracy(shape, freqs, dtype, tolerance, backend, equals_naive):
    inputs = make_inputs(shape, freqs, dtype)
    equals_naive(inputs, backend, tolerance, positions=torch.arange(23))


def test_positions_get_a_gradient_whatever_the_backend(backend):
    x, freqs = make_inputs((2, 5, 6), (6,))
    positions = torch.arange(5.0, dtype=torch.float64, requires_grad=True)
    gradients = [
        torch.autograd.grad(apply_rotary(x, freqs, positions, backend=b).square().sum(), positions)
        for b in (backend, 'naive')
    ]
    assert gradients[1][0].abs().min() > 0
    torch.testing.assert_close(*gradients)


def test_equal_frequencies_in_a_pair_make_a_rotation():
    x = torch.randn(2, 5, 6)
    freqs = torch.tensor([0.3, 0.3, 0.7, 0.7, 0.0, 0.0])
    turned = apply_rotary(x, freqs, torch.arange(5))
    pairs, expected = x.unflatten(-1, (-1, 2)), turned.unflatten(-1, (-1, 2))
    torch.testing.assert_close(pairs.norm(dim=-1), expected.norm(dim=-1))
    torch.testing.assert_close(turned[..., 4:], x[..., 4:])


def test_members_of_a_pair_turn_by_their_own_angle():
    x = torch.tensor([[[1.0, 2.0]]])
    turned = apply_rotary(x, torch.tensor([0.5, 0.25]), torch.tensor([3.0]))
    cos, sin = torch.tensor([1.5, 0.75]).cos(), torch.tensor([1.5, 0.75]).sin()
    expected = torch.tensor([1.0 * cos[0] - 2.0 * sin[0], 2.0 * cos[1] + 1.0 * sin[1]])
    torch.testing.assert_close(turned[0, 0], expected)


def test_inner_product_depends_on_the_distance_only():
    q, k = torch.randn(1, 4, dtype=torch.float64), torch.randn(1, 4, dtype=torch.float64)
    freqs = torch.tensor([0.9, 0.9, 0.1, 0.1], dtype=torch.float64)

    def product(t, s):
        turned_q = apply_rotary(q, freqs, torch.tensor([t]))
        return (turned_q * apply_rotary(k, freqs, torch.tensor([s]))).sum()

    torch.testing.assert_close(product(7, 3), product(104, 100))


def test_heads_may_have_frequencies_of_their_own():
    x = torch.randn(2, 3, 5, 4)
    freqs = torch.rand(3, 4)
    turned = apply_rotary(x, freqs, torch.arange(5))
    for head in range(3):
        expected = apply_rotary(x[:, head], freqs[head], torch.arange(5))
        torch.testing.assert_close(turned[:, head], expected)


def test_positions_beyond_256_stay_distinct_in_bfloat16():
    x = torch.ones(1, 1000, 2, dtype=torch.bfloat16)
    turned = apply_rotary(x, torch.tensor([1.0, 1.0]), torch.arange(1000))
    exact = apply_rotary(x.double(), torch.tensor([1.0, 1.0]), torch.arange(1000))
    assert turned.dtype == torch.bfloat16
    torch.testing.assert_close(turned.double(), exact, atol=2**-7, rtol=0)


@pytest.mark.parametrize(
    ('shape', 'freqs', 'positions', 'name'),
    [((1, 4, 3), 3, 4, 'x'), ((1, 4, 2), 4, 4, 'freqs'), ((1, 4, 2), 2, 5, 'positions')],
)
def test_misfits_are_named(shape, freqs, positions, name):
    with pytest.raises(ValueError, match=f'^{name}:'):
        apply_rotary(torch.randn(shape), torch.ones(freqs), torch.arange(positions))


@pytest.mark.parametrize('shape', [(3, 5, 6), (2, 5, 6), (2, 3, 5, 6)])
def test_frequencies_that_do_not_broadcast_are_named(shape):
    freqs = torch.ones(4, 6)
    with pytest.raises(ValueError, match=r'^freqs: expected leading dimensions that broadcast'):
        apply_rotary(torch.randn(shape), freqs, torch.arange(5))
