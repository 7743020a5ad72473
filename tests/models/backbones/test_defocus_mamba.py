import math

import pytest
import torch

from mmdefocus.models import DefocusMamba

FILTER = ('dt_proj.bias', 'decay.A_log', 'D', 'rope.freq')


def build(arch, **kwargs):
    return DefocusMamba(arch, **{'img_size': 32, 'patch_size': 8, **kwargs})


@pytest.mark.parametrize(
    ('out_type', 'shapes'),
    [
        ('cls_token', [(2, 16)]),
        ('tokens', [(2, 16, 16)]),
        ('cls_and_tokens', [(2, 16), (2, 16, 16)]),
        ('featmap', [(2, 16, 4, 4)]),
    ],
)
def test_output_types(tiny_arch, out_type, shapes):
    (output,) = build(tiny_arch, out_type=out_type)(torch.randn(2, 3, 32, 32))
    outputs = output if isinstance(output, tuple) else (output,)
    assert [tuple(x.shape) for x in outputs] == shapes


@pytest.mark.parametrize('token_order', ['raster', 'sections'])
def test_changing_a_patch_changes_no_token_before_it(tiny_arch, token_order):
    model = build(
        tiny_arch, pretrain_img_size=16, token_order=token_order, out_type='cls_and_tokens'
    ).eval()
    images = torch.randn(1, 3, 32, 32)
    ((cls, tokens),) = model(images)
    for row, column in [(0, 0), (1, 2), (2, 1), (3, 3)]:
        changed = images.clone()
        changed[..., 8 * row : 8 * row + 8, 8 * column : 8 * column + 8] += 1
        grid = torch.zeros(1, 1, 4, 4)
        grid[0, 0, row, column] = 1
        place = model.order.to_sequence(grid).flatten().argmax().item()
        ((changed_cls, changed_tokens),) = model(changed)
        assert torch.equal(changed_tokens[:, :place], tokens[:, :place])
        assert not torch.equal(changed_tokens[:, place], tokens[:, place])
        assert not torch.equal(changed_cls, cls)


@pytest.mark.parametrize('size', [(32, 32), (33, 47), (8, 90), (50, 7)])
@pytest.mark.parametrize('token_order', ['raster', 'sections'])
def test_maps_of_any_image_size_are_cropped_to_its_patches(tiny_arch, size, token_order):
    model = build(tiny_arch, pretrain_img_size=16, token_order=token_order, out_type='featmap')
    (featmap,) = model(torch.randn(1, 3, *size))
    assert featmap.shape[2:] == (math.ceil(size[0] / 8), math.ceil(size[1] / 8))


def test_cells_of_the_map_stay_in_their_place(tiny_arch):
    """Without mixing, the map is the patch embedding, whatever the order and the padding."""
    model = build(
        tiny_arch, pretrain_img_size=16, token_order='sections', out_type='featmap'
    ).eval()
    for block in model.blocks:
        torch.nn.init.zeros_(block.mixer.out_proj.weight)
    images = torch.randn(2, 3, 40, 24)
    (featmap,) = model(images)
    expected = model.norm(model.patch_embed.projection(images).permute(0, 2, 3, 1))
    torch.testing.assert_close(featmap, expected.permute(0, 3, 1, 2))


def test_the_resolution_transfer_follows_from_the_sizes(tiny_arch):
    mixer = build(tiny_arch, img_size=64, pretrain_img_size=16).blocks[0].mixer
    assert (mixer.rope.scale, mixer.delta_scale) == (16.0, 4.0)
    mixer = build(tiny_arch, img_size=64, pretrain_img_size=16, rope_scale=20.0, delta_scale=4.57)
    mixer = mixer.blocks[0].mixer
    assert (mixer.rope.scale, mixer.delta_scale) == (20.0, 4.57)


def test_equal_sizes_change_nothing(tiny_arch):
    plain, transferred = build(tiny_arch), build(tiny_arch, pretrain_img_size=32)
    transferred.load_state_dict(plain.state_dict())
    images = torch.randn(1, 3, 32, 32)
    assert torch.equal(plain(images)[0], transferred(images)[0])


def test_drop_path_rises_with_the_depth(tiny_arch):
    model = build(tiny_arch, drop_path_rate=0.2)
    assert [block.drop_path.rate for block in model.blocks] == [0.0, 0.1, 0.2]
    model.set_drop_path_rate(0.6)
    assert [block.drop_path.rate for block in model.blocks] == [0.0, 0.3, 0.6]


def test_recomputing_the_blocks_gives_the_same_gradients(tiny_arch):
    model = build(tiny_arch, drop_path_rate=0.5)
    images = torch.randn(4, 3, 32, 32)
    gradients = []
    for with_cp in (False, True):
        model.with_cp = with_cp
        torch.manual_seed(0)
        loss = model(images)[0].square().sum()
        gradients.append(torch.autograd.grad(loss, tuple(model.parameters())))
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize('init_cfg', [None, {'type': 'Normal', 'layer': 'Linear', 'std': 1.0}])
def test_init_weights_keeps_the_filters(tiny_arch, init_cfg):
    model = build(tiny_arch, init_cfg=init_cfg)
    expected = [
        {name: p.clone() for name, p in block.mixer.named_parameters() if name in FILTER}
        for block in model.blocks
    ]
    model.init_weights()
    for block, before in zip(model.blocks, expected, strict=True):
        for name, value in before.items():
            assert torch.equal(block.mixer.get_parameter(name), value), name
    spread = model.blocks[0].mixer.in_proj.weight.std().item()
    assert abs(spread - (1.0 if init_cfg else 0.02)) < 0.1


def test_pretrained_weights_survive_init_weights(tiny_arch, tmp_path):
    source = build(tiny_arch)
    with torch.no_grad():
        for parameter in source.parameters():
            parameter.uniform_(-1, 1)
    torch.save({'state_dict': source.state_dict()}, tmp_path / 'weights.pth')
    model = build(
        tiny_arch, init_cfg={'type': 'Pretrained', 'checkpoint': str(tmp_path / 'weights.pth')}
    )
    model.init_weights()
    for name, value in source.state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name


@pytest.mark.parametrize(('arch', 'millions'), [('small', 25.1), ('base', 92.7)])
def test_parameters_of_table_1(arch, millions):
    """The paper counts the classifier and the auxiliary classifier of 1,000 classes."""
    with torch.device('meta'):
        model = DefocusMamba(arch)
    heads = 2 * 1000 * (model.embed_dims + 1)
    count = sum(p.numel() for p in model.parameters()) + heads
    assert round(count / 1e6, 1) == millions


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'arch': 'huge'}, "arch of DefocusMamba: expected one of tiny, .* got 'huge'"),
        ({'arch': {'embed_dim': 3}}, "unknown key 'embed_dim', did you mean 'embed_dims'"),
        ({'arch': {'embed_dims': 16}}, 'missing depth, intermediate_size'),
        ({'depth': 0}, 'depth must be a positive integer, got 0'),
        ({'intermediate_size': 40}, 'group_norm_size 16 does not divide intermediate_size 40'),
        ({'state_size': 3}, 'state_size'),
        ({'img_size': 0}, 'img_size: expected a positive int'),
        ({'img_size': (32, 32, 3)}, 'img_size: expected a positive int'),
        ({'patch_size': 33}, 'patch_size: expected an int from 1 to the image size 32'),
        ({'patch_size': 0}, 'patch_size: expected an int'),
        ({'token_order': 'spiral'}, "token_order: expected one of raster, sections, got 'spiral'"),
        ({'token_order': 'sections', 'pretrain_img_size': 20}, 'pretrain_img_size: .* multiple'),
        ({'out_type': 'map'}, 'out_type: expected one of'),
        ({'decay': 'learned'}, 'decay: expected one of'),
        ({'rope': 'learned'}, 'rope: expected one of'),
        ({'drop_path_rate': 1.0}, r'drop_path_rate: expected a number in \[0, 1\)'),
        ({'rope_scale': -1.0}, 'rope_scale: expected a positive number'),
        ({'pretrain_img_size': -2}, 'pretrain_img_size: expected a positive'),
    ],
)
def test_bad_arguments_are_named(tiny_arch, change, message):
    in_arch = {k: v for k, v in change.items() if k in tiny_arch}
    others = {k: v for k, v in change.items() if k not in tiny_arch}
    with pytest.raises(ValueError, match=message):
        build(**{'arch': {**tiny_arch, **in_arch}, **others})


def test_an_unknown_argument_is_an_error(tiny_arch):
    with pytest.raises(TypeError, match='image_size'):
        build(tiny_arch, image_size=32)


def test_bfloat16_autocast_stays_near_float32(tiny_arch):
    model = build(tiny_arch).eval()
    images = torch.randn(2, 3, 32, 32)
    exact = model(images)[0]
    with torch.autocast('cpu', dtype=torch.bfloat16):
        rough = model(images)[0]
    assert (rough - exact).norm() / exact.norm() < 0.03
