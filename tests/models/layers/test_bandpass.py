import torch

from mmdefocus.models.layers import LearnableDecay, LearnableRotary, rotary_frequencies


def test_rates_are_negative_for_every_value_of_the_parameter():
    decay = LearnableDecay(torch.rand(3, 4) + 0.1)
    with torch.no_grad():
        decay.A_log.copy_(torch.linspace(-30, 30, 12).reshape(3, 4))
    assert (decay() < 0).all()


def test_rates_start_at_the_given_values():
    rates = torch.rand(5) + 0.1
    torch.testing.assert_close(LearnableDecay(rates)(), -rates)


def test_frequencies_fall_from_nearly_one_to_zero():
    freqs = rotary_frequencies(16)
    torch.testing.assert_close(freqs[0].item(), (100 ** (-1 / 16) - 0.01) / 0.99)
    assert (freqs.diff() < 0).all() and freqs[-1].abs() < 1e-7


def test_scale_divides_the_positions():
    x = torch.randn(1, 9, 4)
    plain, stretched = LearnableRotary(4), LearnableRotary(4, scale=4.0)
    torch.testing.assert_close(stretched(x.repeat_interleave(4, 1))[:, ::4], plain(x))


def test_fixed_parts_get_no_gradient():
    assert not LearnableDecay(torch.ones(2), learnable=False).A_log.requires_grad
    assert not LearnableRotary(4, learnable=False).freq.requires_grad
