import pytest
import torch

from mmdefocus import models
from mmdefocus.analysis.focus.layers import layer_inputs, layers_of, on_grid


def test_section_order_is_undone_and_padding_left_out(backbone):
    model = backbone('DefocusMamba', token_order='sections', pretrain_img_size=16)
    shape = (20, 40)  # 3 x 5 patches, padded to 4 x 6
    places = torch.arange(24.0).reshape(1, 1, 4, 6)
    sequence = model.order.to_sequence(places)[..., 0]
    assert torch.equal(on_grid(model, sequence, shape)[0], places[0, 0, :3, :5])


def test_a_map_of_queries_keeps_them(backbone):
    found = on_grid(backbone('DefocusMamba'), torch.rand(2, 16, 16), (32, 32))
    assert found.shape == (2, 16, 4, 4)


def test_what_a_layer_reads_is_what_the_layer_before_it_writes(any_backbone, images):
    any_backbone.eval()
    blocks = getattr(any_backbone, 'blocks', None) or any_backbone.layers
    first, second = (layer_inputs(any_backbone, images, layer) for layer in (1, 2))
    torch.testing.assert_close(blocks[0](first), second)


@pytest.mark.parametrize('shape', [(32, 32), (24, 40), (21, 43)])
def test_any_image_has_its_maps_on_its_grid(shape, any_backbone):
    field = layer_inputs(any_backbone, torch.randn(1, 3, *shape), 1).norm(dim=-1)
    found = on_grid(any_backbone, field[:, layers_of(any_backbone).image], shape)
    assert found.shape == (1, -(-shape[0] // 8), -(-shape[1] // 8))


def test_a_model_that_reads_cls_many_times_is_refused(backbone, images):
    model = backbone('DefocusMamba', out_type='cls_per_strip')
    with pytest.raises(ValueError, match='out_type=cls_per_strip reads CLS many times'):
        layer_inputs(model, images, 1)


def test_a_map_of_another_image_is_refused(any_backbone):
    with pytest.raises(
        ValueError, match=r'map: expected \(..., 16\), the 4 x 4 patches .* \(1, 5\)'
    ):
        on_grid(any_backbone, torch.rand(1, 5), (32, 32))


@pytest.mark.parametrize(
    ('family', 'options', 'causal'),
    [
        ('DefocusMamba', {}, True),
        ('DefocusRetNet', {}, True),
        ('DefocusViT', {}, True),
        ('DefocusViT', {'causal': False}, False),
        ('BidirectionalMamba', {}, False),
    ],
)
def test_causal_layers_are_known(family, options, causal, backbone):
    assert layers_of(backbone(family, **options)).is_causal(2) == causal


@pytest.mark.parametrize('family', ['MambaND', 'S4NDViT', 'VisionRWKV'])
def test_a_backbone_without_cls_token_is_refused(family):
    with torch.device('meta'):
        model = getattr(models, family)('tiny')
    with pytest.raises(ValueError, match=f'model: {family} has no CLS token'):
        layers_of(model)


def test_layers_that_read_more_than_tokens_are_refused(deit):
    deit.layers[0].forward = lambda tokens, patch_resolution: tokens
    with pytest.raises(ValueError, match='the layers of VisionTransformer read more than tokens'):
        layers_of(deit)
