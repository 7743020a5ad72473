import torch
from scipy import stats

from mmdefocus.analysis.focus.agreement import agreement_with_mixer
from mmdefocus.analysis.focus.layers import layer_inputs, layers_of
from mmdefocus.analysis.focus.mixing import mixing_map


def true_maps(model, images, layer):
    """The map of the mixer of a layer and its row of CLS, for the image tokens."""
    model.eval()
    layers = layers_of(model)
    tokens = layers.norm_of(layer)(layer_inputs(model, images, layer))
    whole = mixing_map(layers.mixer_of(layer), tokens)[:, 0]
    return whole[:, layers.image, layers.image], whole[:, layers.cls, layers.image]


def test_a_map_agrees_with_itself(any_backbone, images):
    rows, row = true_maps(any_backbone, images, 2)
    found = agreement_with_mixer(any_backbone, images, 2, rows, row)
    for name in ('attention_agreement', 'field_agreement'):
        torch.testing.assert_close(found[name], torch.ones(2, dtype=torch.float64))


def test_a_map_in_reverse_order_disagrees(any_backbone, images):
    rows, row = true_maps(any_backbone, images, 2)
    upside_down = 1 / rows.clamp_min(1e-20) * (rows > 0)
    found = agreement_with_mixer(any_backbone, images, 2, upside_down, 1 / row)
    for name in ('attention_agreement', 'field_agreement'):
        torch.testing.assert_close(found[name], -torch.ones(2, dtype=torch.float64))


def test_the_agreement_is_a_mean_over_queries(backbone, images):
    model = backbone('DefocusViT')
    rows, row = true_maps(model, images, 1)
    guess = torch.rand(2, 16, 16, generator=torch.Generator().manual_seed(0)).tril(-1)
    found = agreement_with_mixer(model, images, 1, guess, row)['attention_agreement']
    for image in range(2):
        queries = range(8, 16)  # those with at least 8 tokens before them
        expected = [stats.spearmanr(guess[image, q, :q], rows[image, q, :q])[0] for q in queries]
        assert abs(found[image] - sum(expected) / 8) < 1e-6


def test_a_mixer_whose_matrix_is_not_known_has_no_agreement(backbone, images):
    class Another(type(backbone('DefocusViT').blocks[0].mixer)):
        pass

    model = backbone('DefocusViT')
    model.blocks[0].mixer.__class__ = Another
    assert agreement_with_mixer(model, images, 1, torch.rand(2, 16, 16), torch.rand(2, 16)) == {}
