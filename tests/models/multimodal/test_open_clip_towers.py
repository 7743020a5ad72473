import pytest
import torch
from mmengine.registry import MODELS
from open_clip import CLIP, create_model

from mmdefocus.utils.captions import tokenize

CAPTIONS = ['a photo of a cat', 'a diagram', 'two dogs in the snow']


@pytest.fixture(scope='module')
def vit_b_32() -> CLIP:
    """The model of open_clip with random weights."""
    torch.manual_seed(0)
    return create_model('ViT-B-32').eval()


def expected_features(model: CLIP) -> torch.Tensor:
    with torch.no_grad():
        return model.encode_text(tokenize(CAPTIONS))


def features(encoder: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return encoder.eval()(tokenize(CAPTIONS))


def test_weights_of_a_whole_model_of_open_clip_load(vit_b_32):
    encoder = MODELS.build(dict(type='OpenCLIPText', out_dims=512))
    encoder.load_state_dict(vit_b_32.state_dict())
    assert torch.equal(features(encoder), expected_features(vit_b_32))


def test_weights_of_a_file_load_by_config(vit_b_32, tmp_path):
    torch.save(vit_b_32.state_dict(), tmp_path / 'open_clip.pth')
    rule = dict(type='Pretrained', checkpoint=str(tmp_path / 'open_clip.pth'))
    encoder = MODELS.build(dict(type='OpenCLIPText', out_dims=512, init_cfg=rule))
    encoder.init_weights()
    assert torch.equal(features(encoder), expected_features(vit_b_32))


def test_own_weights_load_again():
    first, second = (
        MODELS.build(dict(type='OpenCLIPText', out_dims=8, width=64, num_heads=2, depth=1))
        for _ in range(2)
    )
    second.load_state_dict(first.state_dict())
    assert torch.equal(features(first), features(second))


def test_vision_transformer_is_that_of_clip_up_to_the_projection(vit_b_32):
    backbone = MODELS.build(dict(type='OpenCLIPViT')).eval()
    backbone.tower.load_state_dict(vit_b_32.visual.state_dict(), strict=False)
    images = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        (found,) = backbone(images)
        expected = vit_b_32.encode_image(images)
    torch.testing.assert_close(found @ vit_b_32.visual.proj, expected)
