import pytest
import torch

from mmdefocus.models import layers
from mmdefocus.ops import retention

CHANNELS, PAIRS = layers.rotary_frequencies(4), layers.pair_frequencies(2).expand(3, -1)


def test_rates_are_negative_for_every_value_of_the_parameter():
    decay = layers.LearnableDecay(torch.rand(3, 4) + 0.1)
    with torch.no_grad():
        decay.A_log.copy_(torch.linspace(-30, 30, 12).reshape(3, 4))
    assert (decay() < 0).all()


def test_rates_start_at_the_given_values():
    rates = torch.rand(5) + 0.1
    torch.testing.assert_close(layers.LearnableDecay(rates)(), -rates)


def test_frequencies_fall_from_nearly_one_to_zero():
    freqs = layers.rotary_frequencies(16)
    torch.testing.assert_close(freqs[0].item(), (100 ** (-1 / 16) - 0.01) / 0.99)
    assert (freqs.diff() < 0).all() and freqs[-1].abs() < 1e-7


def test_frequencies_of_pairs_fall_from_one_in_equal_ratios():
    freqs = layers.pair_frequencies(4)
    torch.testing.assert_close(freqs, torch.tensor([1.0, 0.1, 0.01, 0.001]))


def test_decays_of_the_last_heads_are_exact():
    """1 - 2^(-5 - h) itself would round to 1 in float32."""
    rates = layers.head_decay_rates(32).double()
    torch.testing.assert_close(rates[-1], torch.tensor(2.0**-36, dtype=torch.float64))
    assert (rates.diff() < 0).all()


@pytest.mark.parametrize(
    ('plain', 'stretched'),
    [
        (layers.LearnableRotary(CHANNELS), layers.LearnableRotary(CHANNELS, scale=4.0)),
        (
            layers.LearnableRotary(PAIRS, paired=True),
            layers.LearnableRotary(PAIRS, scale=4.0, paired=True),
        ),
    ],
    ids=['channels', 'pairs'],
)
def test_scale_divides_the_positions(plain, stretched):
    x = torch.randn(1, 3, 9, 4)
    torch.testing.assert_close(stretched(x.repeat_interleave(4, 2))[:, :, ::4], plain(x))


def test_products_of_turned_pairs_depend_on_the_distance_alone():
    rotary = layers.LearnableRotary(torch.rand(2, 3), paired=True).double()
    q, k = torch.randn(2, 2, 1, 6, dtype=torch.float64)
    products = rotary(q.expand(1, 2, 8, 6)) @ rotary(k.expand(1, 2, 8, 6)).mT
    for distance in range(8):
        diagonal = products.diagonal(distance, dim1=-2, dim2=-1)
        torch.testing.assert_close(diagonal, diagonal[..., :1].expand_as(diagonal))


def test_heads_turn_apart():
    rotary = layers.LearnableRotary(torch.tensor([[0.0], [torch.pi / 2]]), paired=True)
    x = torch.tensor([1.0, 0.0]).expand(1, 2, 2, 2)
    expected = torch.tensor([[[1.0, 0.0], [1.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]])
    torch.testing.assert_close(rotary(x)[0], expected)


def test_one_filter_has_the_frequency_response_of_eq_7():
    rate, centre, length = 0.02, 0.08, 600
    decay = layers.LearnableDecay(torch.tensor([rate])).double()
    rotary = layers.LearnableRotary(torch.tensor([[centre]]).double(), paired=True)
    omega = torch.linspace(-0.2, 0.2, 41, dtype=torch.float64)
    waves = torch.exp(1j * omega * torch.arange(length).unsqueeze(-1))  # (L, 41)

    def weigh(query, key, signal):
        """Sums the signal times `exp(λ (t - s))` and the product of turned query and key."""
        vectors = torch.tensor([query, key], dtype=torch.float64)
        q, k = rotary(vectors[:, None, None, None].expand(-1, 1, 1, length, 2))
        return retention(q, k, signal[None, None], decay())[0, 0, -1]

    def of_kernel(signal):
        """Unit vectors give cosine and sine of θ (t - s), hence exp((λ + iθ) (t - s))."""
        return torch.complex(weigh([1, 0], [1, 0], signal), weigh([1, 0], [0, 1], signal))

    output = of_kernel(waves.real) + 1j * of_kernel(waves.imag)
    output = output - waves[-1] / 2  # the integral of Eq. 6 counts half of the present token
    expected = 1 / rate / torch.sqrt(1 + ((omega - centre) / rate) ** 2)
    torch.testing.assert_close(output.abs(), expected, rtol=0.02, atol=0)
    assert omega[output.abs().argmax()].item() == pytest.approx(centre)


def test_a_learnable_filter_learns_both_parts():
    filter = layers.Filter('learnable', 'learnable')
    assert filter.make_decay(torch.ones(2)).A_log.requires_grad
    assert filter.make_rotary(CHANNELS).freq.requires_grad


def test_a_fixed_filter_gets_no_gradient():
    filter = layers.Filter('fixed', 'fixed')
    assert not filter.make_decay(torch.ones(2)).A_log.requires_grad
    assert not filter.make_rotary(CHANNELS).freq.requires_grad


def test_a_filter_that_is_off_has_no_parts():
    filter = layers.Filter('none', 'none')
    assert filter.make_decay(torch.ones(2)) is None
    assert filter.make_rotary(CHANNELS) is None


@pytest.mark.parametrize(
    ('setting', 'message'),
    [
        ({'decay': 'learned'}, 'decay: expected one of data_dependent, learnable, fixed, none'),
        ({'rope': 'data_dependent'}, 'rope: expected one of learnable, fixed, none'),
        ({'rope_scale': 0.0}, 'rope_scale: expected a positive number, got 0.0'),
        ({'delta_scale': -1.0}, 'delta_scale: expected a positive number, got -1.0'),
    ],
)
def test_bad_settings_of_a_filter_are_named(setting, message):
    with pytest.raises(ValueError, match=message):
        layers.Filter(**setting)
