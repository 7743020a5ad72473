import pytest
import torch
from mmengine.registry import MODELS

from mmdefocus.utils.captions import tokenize

CONTEXT = 16
FAMILIES = ['DefocusMamba', 'DefocusMamba2', 'DefocusRetNet', 'DefocusViT']


@pytest.mark.parametrize('family', FAMILIES)
def test_what_follows_the_end_has_no_influence(make_clip, family):
    encoder = make_clip(text=family).text_encoder.eval()
    tokens = tokenize(['a three', 'a nine above a two'], CONTEXT)
    changed = tokens.where(tokens > 0, 320)
    assert not torch.equal(tokens, changed)
    torch.testing.assert_close(encoder(changed), encoder(tokens))


@pytest.mark.parametrize('family', FAMILIES)
def test_order_of_words_matters(make_clip, family):
    encoder = make_clip(text=family).text_encoder.eval()
    one, other = encoder(tokenize(['a two above a nine', 'a nine above a two'], CONTEXT))
    assert (one - other).abs().max() > 1e-3 * one.abs().max()


def test_blocks_are_those_of_the_image_tower(make_clip):
    model = make_clip('DefocusMamba', text='DefocusMamba')
    image, text = (
        {name: p.shape for name, p in tower.blocks.named_parameters()}
        for tower in (model.vision_backbone, model.text_encoder)
    )
    assert image == text


def test_family_that_sees_what_comes_later_is_refused():
    with pytest.raises(ValueError, match='family: expected one of DefocusMamba'):
        MODELS.build(
            dict(type='SequenceText', out_dims=8, family='BidirectionalMamba', arch='small')
        )
