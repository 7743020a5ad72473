import pytest
import torch
from mmengine.structures import BaseDataElement
from open_clip import OPENAI_IMAGENET_TEMPLATES, build_zero_shot_classifier

from mmdefocus.utils.captions import tokenize
from mmdefocus.utils.errors import InputError

CONTEXT = 16
CAPTIONS = ['a three', 'a seven left of a two', 'the digit nine', 'zero', 'a one above a four']


@pytest.fixture
def batch():
    torch.manual_seed(1)
    return torch.randn(len(CAPTIONS), 3, 32, 32), tokenize(CAPTIONS, CONTEXT)


@pytest.mark.parametrize('family', ['DefocusMamba', 'DefocusRetNet', 'DefocusViT', 'OpenCLIPViT'])
def test_features_have_length_1(make_clip, batch, family):
    for features in make_clip(family)(batch[0], tokens=batch[1]):
        torch.testing.assert_close(features.norm(dim=-1), torch.ones(len(CAPTIONS)))


@pytest.mark.parametrize(
    'text', [None, 'DefocusMamba', 'DefocusMamba2', 'DefocusRetNet', 'DefocusViT']
)
def test_every_parameter_learns(make_clip, batch, text):
    model = make_clip(text=text)
    model(batch[0], tokens=batch[1], mode='loss')['loss'].backward()
    idle = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert not idle


@pytest.mark.parametrize('chunk_size', [1, 2, 5])
def test_cached_accumulation_has_the_gradient_of_the_whole_batch(make_clip, batch, chunk_size):
    gradients = []
    for chunks in (None, chunk_size):
        model = make_clip(chunk_size=chunks).double()
        model(batch[0].double(), tokens=batch[1], mode='loss')['loss'].backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    for whole, cached in zip(*gradients, strict=True):
        torch.testing.assert_close(cached, whole, rtol=0, atol=1e-12)


def test_cached_accumulation_encodes_one_chunk_at_a_time(make_clip, batch):
    model, sizes = make_clip(chunk_size=2), []
    model.vision_backbone.register_forward_hook(lambda _m, inputs, _o: sizes.append(len(inputs[0])))
    model(batch[0], tokens=batch[1], mode='loss')['loss'].backward()
    assert sizes == [2, 2, 1, 1, 2, 2]  # and, in the backward, again


def test_cached_accumulation_repeats_what_drop_path_drops(make_clip, batch):
    model = make_clip(chunk_size=2).train()
    model.vision_backbone.set_drop_path_rate(0.5)
    forward = []
    model.vision_backbone.register_forward_hook(lambda _m, _i, outputs: forward.append(outputs[0]))
    model(batch[0], tokens=batch[1], mode='loss')['loss'].backward()
    first, again = forward[:3], forward[3:][::-1]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_predictions_keep_their_samples(make_clip, batch):
    samples = [BaseDataElement(metainfo=dict(number=i)) for i in range(len(CAPTIONS))]
    model = make_clip().eval()
    found = model(batch[0], data_samples=samples, tokens=list(batch[1]), mode='predict')
    image_features, text_features = model(*batch[:1], tokens=batch[1])
    assert [sample.number for sample in found] == list(range(len(CAPTIONS)))
    assert torch.equal(torch.stack([s.image_features for s in found]), image_features)
    assert torch.equal(torch.stack([s.text_features for s in found]), text_features)


def test_predictions_need_no_captions(make_clip, batch):
    found = make_clip().eval()(batch[0], mode='predict')
    assert len(found) == len(CAPTIONS) and 'text_features' not in found[0]


class AsOpenCLIP:
    """A model as open_clip's functions call it."""

    def __init__(self, model):
        self.model = model

    def encode_text(self, tokens, normalize):
        assert normalize
        return self.model.encode_text(tokens)


@pytest.mark.parametrize('templates', ['imagenet', ['a photo of a {}', 'the {}, large']])
def test_zero_shot_classifier_is_that_of_open_clip(make_clip, templates):
    model, classes = make_clip().eval(), [f'kind {number}' for number in range(13)]
    expected = build_zero_shot_classifier(
        AsOpenCLIP(model),
        lambda texts: tokenize(texts, CONTEXT),
        classes,
        OPENAI_IMAGENET_TEMPLATES if templates == 'imagenet' else templates,
    )
    torch.testing.assert_close(
        model.embed_classes(classes, templates), expected.T, rtol=0, atol=1e-6
    )


def test_template_without_a_place_for_the_name_is_refused(make_clip):
    with pytest.raises(ValueError, match=r"expected \{\} .* in 'a photo'"):
        make_clip().embed_classes(['one', 'two'], ['a photo'])


@pytest.mark.parametrize('template', ['{} {}', '{} {', '{} {0}', '{} {name}', '{0.x} {}'])
def test_template_that_a_name_does_not_fill_is_refused(make_clip, template):
    with pytest.raises(ValueError, match=r'^templates: expected \{\} once, for the name'):
        make_clip().embed_classes(['one', 'two'], [template])


def test_a_text_is_not_taken_for_a_list_of_classes(make_clip):
    with pytest.raises(InputError, match=r"^classes: expected a list of texts, got 'cat'"):
        make_clip().embed_classes('cat', ['a {}'])


def test_label_longer_than_the_context_is_refused(make_clip):
    with pytest.raises(InputError, match='expected at most 14 tokens, got'):
        make_clip().embed_classes(['one', 'two ' * 20], ['a {}'])


def test_empty_label_is_refused(make_clip):
    with pytest.raises(InputError, match='expected some text'):
        make_clip().embed_classes(['one', ''], ['{}'])


def test_captions_of_another_context_are_refused(make_clip, batch):
    with pytest.raises(ValueError, match=r'expected \(B, 16\), got \(5, 77\)'):
        make_clip()(batch[0], tokens=tokenize(CAPTIONS))


def test_backbone_without_a_cls_token_is_refused(make_clip):
    with pytest.raises(ValueError, match='out_type of vision_backbone: expected one of cls_token'):
        make_clip(out_type='tokens')
