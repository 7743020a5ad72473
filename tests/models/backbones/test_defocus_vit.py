import pytest
import torch
from mmpretrain.models.utils import resize_pos_embed

from mmdefocus.models import DefocusClsHead, DefocusViT


def build(tiny_archs, **kwargs):
    return DefocusViT(tiny_archs['DefocusViT'], **{'img_size': 32, 'patch_size': 8, **kwargs})


@pytest.mark.parametrize(
    ('arch', 'filter', 'aux_loss_weight', 'millions'),
    [
        ('base', 'learnable', 1.0, 87.4),
        ('small', 'none', 0.0, 22.1),
        ('base', 'none', 0.0, 86.6),
    ],
    ids=['De-focus ViT-Base', 'DeiT-Small', 'DeiT-Base'],
)
def test_parameters_of_table_1(arch, filter, aux_loss_weight, millions):
    with torch.device('meta'):
        backbone = DefocusViT(arch, decay=filter, rope=filter)
        head = DefocusClsHead(1000, backbone.embed_dims, aux_loss_weight=aux_loss_weight)
    count = sum(p.numel() for part in (backbone, head) for p in part.parameters()) / 1e6
    assert count == pytest.approx(millions, abs=0.1)


def test_without_causality_every_token_sees_every_patch(tiny_archs):
    model = build(tiny_archs, causal=False, out_type='tokens').eval()
    images = torch.randn(1, 3, 32, 32)
    changed = images.clone()
    changed[..., -8:, -8:] += 1
    difference = (model(changed)[0] - model(images)[0]).abs().amax(-1)
    assert (difference > 0).all()


@pytest.mark.parametrize('token_order', ['raster', 'sections'])
def test_positions_belong_to_places_in_the_image_whatever_the_order(tiny_archs, token_order):
    model = build(tiny_archs, pretrain_img_size=16, token_order=token_order, out_type='featmap')
    model.blocks, model.norm = torch.nn.ModuleList(), torch.nn.Identity()
    torch.nn.init.zeros_(model.patch_embed.projection.weight)
    torch.nn.init.zeros_(model.patch_embed.projection.bias)
    (featmap,) = model(torch.randn(1, 3, 32, 32))
    cls_first = model.pos_embed.roll(1, dims=1)
    expected = resize_pos_embed(cls_first, (2, 2), (4, 4))[:, 1:]
    torch.testing.assert_close(featmap.flatten(2).mT, expected)


def test_the_last_position_is_that_of_the_cls_token(tiny_archs):
    model = build(tiny_archs, out_type='cls_token')
    model.blocks, model.norm = torch.nn.ModuleList(), torch.nn.Identity()
    (cls_token,) = model(torch.randn(1, 3, 32, 32))
    torch.testing.assert_close(cls_token, model.cls_token[:, 0] + model.pos_embed[:, -1])


def test_there_is_a_position_for_every_patch_of_a_rectangle(tiny_archs):
    assert build(tiny_archs, img_size=(32, 50)).pos_embed.shape == (1, 4 * 7 + 1, 16)
