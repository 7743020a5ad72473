import pytest
import torch

from mmdefocus.analysis.focus.figures import draw_filters
from mmdefocus.analysis.focus.filters import LayerFilters, filters_of, layer_filters, response
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


@pytest.mark.parametrize('decay', ['data_dependent', 'learnable'])
def test_the_filters_of_mamba_2_are_those_of_its_heads(decay, backbone):
    mixer = backbone('DefocusMamba2', decay=decay, rope_scale=4.0, delta_scale=2.0).blocks[0].mixer
    torch.nn.init.zeros_(mixer.in_proj.weight)
    mixer.reset_filter()
    found = filters_of(mixer, torch.randn(2, 5, 16))
    torch.testing.assert_close(found.frequencies, pair_frequencies(4).expand(2, -1) / 4)
    torch.testing.assert_close(found.bandwidths, torch.tensor([0.001, 1.6]).expand(5, -1) / 2)


def test_without_a_filter_there_is_neither_frequency_nor_bandwidth(backbone):
    for family in ('DefocusMamba', 'DefocusMamba2', 'DefocusViT'):
        mixer = backbone(family, decay='none', rope='none').blocks[0].mixer
        found = filters_of(mixer, torch.randn(2, 5, 16))
        assert not found.frequencies.any() and not found.bandwidths.any()


def test_two_directions_have_the_filters_of_both(backbone):
    mixer = backbone('BidirectionalMamba').blocks[0].mixer
    for direction, first in ((mixer, 1.0), (mixer.reverse, 5.0)):
        torch.nn.init.zeros_(direction.dt_proj.weight)
        torch.nn.init.constant_(direction.dt_proj.bias, 1.0)
        direction.decay.reset_rates(torch.arange(first, first + 4))
    found = filters_of(mixer, torch.randn(2, 5, 16))
    assert found.frequencies.shape == (8, 1) and found.bandwidths.shape == (5, 8)
    step = torch.nn.functional.softplus(torch.tensor(1.0))
    torch.testing.assert_close(found.bandwidths[2], step * torch.arange(1.0, 9))


def test_the_filters_of_a_layer_are_those_of_what_it_reads(backbone, images):
    model = backbone('DefocusMamba')
    found = layer_filters(model, images.split(1), 2)
    with torch.no_grad(), model.tapped() as taps:
        model(images)
    expected = filters_of(model.blocks[1].mixer, model.blocks[1].norm(taps['layer2.input']))
    torch.testing.assert_close(found, expected)


def test_what_has_no_filter_has_none(deit, images):
    assert layer_filters(deit, [images], 1) is None


@pytest.mark.parametrize('options', [{}, {'decay': 'none', 'rope': 'none'}])
def test_filters_are_drawn_before_and_after(options, backbone, images):
    model = backbone('DefocusMamba', **options)
    filters = [
        LayerFilters(layer, *[layer_filters(model, [images], layer)] * 2) for layer in (1, 3)
    ]
    figure = draw_filters('model', filters)
    assert [axes.get_title() for axes in figure.axes] == ['layer 1'] * 2 + ['layer 3'] * 2
    curves = [line.get_ydata() for line in figure.axes[1].lines]
    assert len(curves) == 2 and all((curve > 0).all() for curve in curves)


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
