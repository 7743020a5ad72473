"""CLS after every strip is that of an image that ends there."""

import pytest
import torch

from mmdefocus.models.backbones import ClsPerStrip

from ..conftest import build_tiny

SECTIONS = {'token_order': 'sections', 'pretrain_img_size': 16}
CONSTANT = ('DefocusMamba', 'DefocusMamba2', 'DefocusRetNet')
CAUSAL = (*CONSTANT, 'DefocusViT')


def make(family, **settings):
    torch.manual_seed(0)
    model = build_tiny(family, **settings).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return model


def read(model, images, out_type):
    model.out_type = out_type
    return model(images)[0]


@pytest.mark.parametrize('family', CONSTANT)
@pytest.mark.parametrize(
    ('settings', 'rows', 'width'), [({}, 8, 24), ({}, 8, 27), (SECTIONS, 16, 32)], ids=str
)
def test_cls_after_a_strip_is_that_of_the_image_cut_there(family, settings, rows, width):
    model = make(family, **settings)
    images = torch.randn(2, 3, 4 * rows, width, dtype=torch.float64)
    found = read(model, images, 'cls_per_strip')
    assert isinstance(found, ClsPerStrip) and found.cls_tokens.shape == (2, 4, 16)
    for strip in range(4):
        expected = read(model, images[:, :, : rows * (strip + 1)], 'cls_token')
        torch.testing.assert_close(found.cls_tokens[:, strip], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize('family', CAUSAL)
@pytest.mark.parametrize('with_cp', [False, True])
def test_the_end_has_values_and_gradients_of_the_plain_output(family, with_cp):
    model = make(family, drop_path_rate=0.5, with_cp=with_cp).train()
    images = torch.randn(4, 3, 30, 32, dtype=torch.float64)
    results = []
    for out_type in ('cls_and_tokens', 'cls_per_strip'):
        torch.manual_seed(1)  # drop path decides the same
        cls_token, tokens = read(model, images, out_type)
        cls_token = cls_token[:, -1] if cls_token.dim() == 3 else cls_token
        loss = (cls_token * torch.linspace(-1, 1, 16, dtype=torch.float64)).sum()
        loss = loss + (tokens * torch.linspace(-1, 1, 256, dtype=torch.float64).view(16, 16)).sum()
        used = [p for p in model.parameters() if p.requires_grad]
        results.append((cls_token, tokens, torch.autograd.grad(loss, used)))
    torch.testing.assert_close(*results, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize('family', CAUSAL)
def test_an_early_answer_depends_on_the_strips_before_it_alone(family):
    model = make(family)
    images = torch.randn(1, 3, 32, 32, dtype=torch.float64, requires_grad=True)
    found = read(model, images, 'cls_per_strip')
    for strip in range(4):
        loss = found.cls_tokens[0, strip].square().mul(torch.arange(16)).sum()
        (gradient,) = torch.autograd.grad(loss, images, retain_graph=True)
        touched = gradient.unflatten(2, (4, 8)).abs().sum((0, 1, 3, 4)) > 0
        assert touched.tolist() == [row <= strip for row in range(4)]


@pytest.mark.parametrize(
    ('family', 'settings', 'message'),
    [
        ('BidirectionalMamba', {}, 'reads the image from both ends'),
        ('DefocusViT', {'causal': False}, 'causal=False'),
    ],
)
def test_models_that_look_ahead_are_refused_at_once(family, settings, message):
    with pytest.raises(ValueError, match=f'^out_type: cls_per_strip: .*{message}'):
        make(family, out_type='cls_per_strip', **settings)
