import pytest
import torch

from mmdefocus.analysis.focus.filters import filters_of, response
from mmdefocus.models.layers import head_decay_rates, pair_frequencies, rotary_frequencies


@pytest.mark.parametrize('family', ['DefocusRetNet', 'DefocusViT'])
def test_the_filters_of_heads_are_their_parameters(family, backbone):
    mixer = backbone(family, rope_scale=4.0, delta_scale=2.0).blocks[0].mixer
    mixer.reset_filter()
    found = filters_of(mixer, torch.randn(2, 5, 16))
    torch.testing.assert_close(found.frequencies, pair_frequencies(4).expand(2, -1) / 4)
    torch.testing.assert_close(found.bandwidths, (head_decay_rates(2) / 2).expand(5, -1))


def test_the_filters_of_mamba_are_those_of_its_tokens(backbone):
    mixer = backbone('DefocusMamba').blocks[0].mixer
    torch.nn.init.zeros_(mixer.dt_proj.weight)
    torch.nn.init.constant_(mixer.dt_proj.bias, 1.0)
    mixer.decay.reset_rates(torch.arange(1.0, 5))
    found = filters_of(mixer, torch.randn(2, 5, 16))
    torch.testing.assert_close(found.frequencies[:, 0], rotary_frequencies(4))
    step = torch.nn.functional.softplus(torch.tensor(1.0))
    torch.testing.assert_close(found.bandwidths, (step * torch.arange(1.0, 5)).expand(5, -1))


def test_without_a_filter_there_is_neither_frequency_nor_bandwidth(backbone):
    for family in ('DefocusMamba', 'DefocusViT'):
        mixer = backbone(family, decay='none', rope='none').blocks[0].mixer
        found = filters_of(mixer, torch.randn(2, 5, 16))
        assert not found.frequencies.any() and not found.bandwidths.any()


def test_the_response_is_that_of_a_decaying_wave():
    """Eq. 7 is the Fourier transform of exp(-λ s) exp(i θ s)."""
    theta, rate, omega = 0.7, 0.05, torch.tensor([0.2, 0.7, 1.5], dtype=torch.float64)
    s = torch.linspace(0, 400, 400_001, dtype=torch.float64)
    wave = torch.exp(-rate * s) * torch.exp(1j * theta * s)
    spectrum = [torch.trapezoid(wave * torch.exp(-1j * w * s), s).abs() for w in omega]
    found = response(torch.tensor(theta), torch.tensor(rate), omega)
    torch.testing.assert_close(found, torch.stack(spectrum), rtol=1e-5, atol=0)


def test_another_module_is_refused():
    with pytest.raises(ValueError, match='mixer: expected a mixer of mmdefocus, got Linear'):
        filters_of(torch.nn.Linear(2, 2), torch.ones(1, 2, 2))
