"""What holds for the backbones of all families."""

import math

import pytest
import torch
from mmengine.runner import load_checkpoint

from mmdefocus import models
from mmdefocus.checkpoints.checks import checked_load
from mmdefocus.models.backbones import ImageBackbone
from mmdefocus.registry import MODELS
from mmdefocus.utils.errors import InputError


def images_of(batch, height=32, width=32):
    return torch.randn(batch, 3, height, width)


def randomise(model):
    """Gives every parameter a value that no initialisation gives it."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.uniform_(-0.5, 0.5)
    return model


def test_no_family_is_left_out(tiny_archs):
    registered = {name: cls for name, cls in MODELS.module_dict.items() if isinstance(cls, type)}
    ours = {name for name, cls in registered.items() if issubclass(cls, ImageBackbone)}
    assert ours == set(tiny_archs)


@pytest.mark.parametrize(
    ('out_type', 'shapes'),
    [
        ('cls_token', [(2, 16)]),
        ('tokens', [(2, 16, 16)]),
        ('cls_and_tokens', [(2, 16), (2, 16, 16)]),
        ('featmap', [(2, 16, 4, 4)]),
    ],
)
def test_output_types_and_their_gradients(build, out_type, shapes):
    model = build(out_type=out_type)
    (output,) = model(images_of(2))
    outputs = output if isinstance(output, tuple) else (output,)
    assert [tuple(x.shape) for x in outputs] == shapes
    sum(x.square().mul(torch.rand_like(x)).sum() for x in outputs).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name


def test_every_parameter_is_used(build):
    model = randomise(build(out_type='cls_and_tokens'))
    ((cls, tokens),) = model(images_of(2))
    (cls.mul(torch.randn_like(cls)).sum() + tokens.mul(torch.randn_like(tokens)).sum()).backward()
    unused = {name for name, p in model.named_parameters() if not p.grad.any()}
    assert not unused


@pytest.mark.parametrize('token_order', ['raster', 'sections'])
def test_changing_a_patch_changes_no_token_before_it(build_causal, token_order):
    model = build_causal(
        pretrain_img_size=16, token_order=token_order, out_type='cls_and_tokens'
    ).eval()
    images = images_of(1)
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
def test_maps_of_any_image_size_are_cropped_to_its_patches(build, size, token_order):
    model = build(pretrain_img_size=16, token_order=token_order, out_type='featmap')
    (featmap,) = model(images_of(1, *size))
    assert featmap.shape[2:] == (math.ceil(size[0] / 8), math.ceil(size[1] / 8))


def test_cells_of_the_map_stay_in_their_place(build):
    """Without blocks, the map is the patch embedding, whatever the order and the padding."""
    model = build(pretrain_img_size=16, token_order='sections', out_type='featmap')
    model.blocks = torch.nn.ModuleList()
    images = images_of(2, 40, 24)
    (featmap,) = model(images)
    grid, _ = model.embed(images)
    expected = model.norm(grid.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    torch.testing.assert_close(featmap, expected[..., :5, :3])


def test_the_resolution_transfer_follows_from_the_sizes(build_filtered):
    mixer = build_filtered(img_size=64, pretrain_img_size=16).blocks[0].mixer
    assert (mixer.rope.scale, mixer.delta_scale) == (16.0, 4.0)
    mixer = build_filtered(img_size=64, pretrain_img_size=16, rope_scale=20.0, delta_scale=4.57)
    mixer = mixer.blocks[0].mixer
    assert (mixer.rope.scale, mixer.delta_scale) == (20.0, 4.57)


def test_equal_sizes_change_nothing(build):
    plain, transferred = build(), build(pretrain_img_size=32)
    transferred.load_state_dict(plain.state_dict())
    images = images_of(1)
    assert torch.equal(plain(images)[0], transferred(images)[0])


def test_weights_of_the_pre_training_fit_at_another_resolution(build):
    fine_tuned = build(img_size=64, pretrain_img_size=32)
    fine_tuned.load_state_dict(build().state_dict())
    assert fine_tuned(images_of(1, 64, 64))[0].isfinite().all()


def test_the_state_dict_is_all_that_a_model_is(build, tmp_path):
    source, copy = randomise(build()).eval(), build().eval()
    torch.save(source.state_dict(), tmp_path / 'weights.pth')
    copy.load_state_dict(torch.load(tmp_path / 'weights.pth', weights_only=True))
    images = images_of(2)
    assert torch.equal(source(images)[0], copy(images)[0])


@pytest.mark.parametrize('tolerate', ['nothing', 'extra', 'partial'])
def test_weights_of_another_family_or_size_are_refused_in_one_line(
    build, tiny_archs, tmp_path, tolerate
):
    model = torch.nn.ModuleDict({'backbone': build()})
    others = [
        getattr(models.backbones, family)(arch, img_size=32, patch_size=8)
        for family, arch in tiny_archs.items()
        if family != type(model.backbone).__name__
    ]
    sizes = {'embed_dims': 32, 'depth': 4}
    arch = tiny_archs[type(model.backbone).__name__]
    others += [build(arch={**arch, key: value}) for key, value in sizes.items()]
    path = str(tmp_path / 'weights.pth')
    for other in others:
        torch.save(torch.nn.ModuleDict({'backbone': other}).state_dict(), path)
        with (
            pytest.raises(InputError, match=r'weights\.pth does not fit ModuleDict: \d+ ') as error,
            checked_load(model, path, tolerate),
        ):
            load_checkpoint(model, path)
        assert '\n' not in str(error.value)


@pytest.mark.parametrize('decay', ['learnable', 'fixed', 'none'])
@pytest.mark.parametrize('rope', ['learnable', 'fixed', 'none'])
def test_the_filter_can_be_switched(build_filtered, decay, rope):
    mixer = build_filtered(decay=decay, rope=rope).blocks[0].mixer
    parameters = dict(mixer.named_parameters())
    for name, mode in [('decay.A_log', decay), ('rope.freq', rope)]:
        assert (name in parameters) == (mode != 'none')
        assert mode == 'none' or parameters[name].requires_grad == (mode == 'learnable')


def test_bfloat16_autocast_stays_near_float32(build):
    model = build().eval()
    images = images_of(2)
    exact = model(images)[0]
    with torch.autocast('cpu', dtype=torch.bfloat16):
        rough = model(images)[0]
    assert (rough - exact).norm() / exact.norm() < 0.03


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'arch': 'huge'}, "arch of .*: expected one of tiny, .* got 'huge'"),
        ({'arch': {'embed_dim': 3}}, "unknown key 'embed_dim', did you mean 'embed_dims'"),
        ({'arch': {'embed_dims': 16}}, 'arch of .*: missing depth, '),
        ({'img_size': 0}, 'img_size: expected a positive int'),
        ({'img_size': (32, 32, 3)}, 'img_size: expected a positive int'),
        ({'patch_size': 33}, 'patch_size: expected an int from 1 to the image size 32'),
        ({'patch_size': 0}, 'patch_size: expected an int'),
        ({'token_order': 'spiral'}, "token_order: expected one of raster, sections, got 'spiral'"),
        ({'token_order': 'sections', 'pretrain_img_size': 20}, 'pretrain_img_size: .* multiple'),
        ({'out_type': 'map'}, 'out_type: expected one of'),
        ({'rope': 'learned'}, 'rope: expected one of'),
        ({'drop_path_rate': 1.0}, r'drop_path_rate: expected a number in \[0, 1\)'),
        ({'rope_scale': -1.0}, 'rope_scale: expected a positive number'),
        ({'pretrain_img_size': -2}, 'pretrain_img_size: expected a positive'),
    ],
)
def test_bad_arguments_are_named(build, change, message):
    with pytest.raises(ValueError, match=message):
        build(**change)


def test_an_unknown_argument_is_an_error(build):
    with pytest.raises(TypeError, match='image_size'):
        build(image_size=32)


def test_errors_of_architectures_name_the_class_that_was_asked_for(build):
    family = type(build()).__name__
    with pytest.raises(ValueError, match=f'arch of {family}: expected one of tiny'):
        build(arch='huge')


EMBED_DIMS = [
    ({'num_heads': 3}, 'num_heads: expected a positive number that divides embed_dims 16, got 3'),
    ({'num_heads': 16}, 'embed_dims 16 / num_heads 16: expected an even number'),
]
GROUPS = [
    (
        {'intermediate_size': 40},
        'group_norm_size: expected a positive number that divides intermediate_size 40, got 16',
    ),
    ({'state_size': 3}, 'state_size: expected an even number'),
    ({'time_step_ranks': 3}, "unknown key 'time_step_ranks', did you mean 'time_step_rank'"),
]
HEAD_SIZE = (
    {'head_size': 12},
    'head_size: expected a positive number that divides intermediate_size 32, got 12',
)
BAD_KEYS = {
    'Adventurer': [HEAD_SIZE, ({'expand': 2}, "unknown key 'expand'")],
    'BidirectionalMamba': GROUPS,
    'DefocusMamba': [({'depth': 0}, 'depth must be a positive integer, got 0'), *GROUPS],
    'DefocusMamba2': [
        HEAD_SIZE,
        ({'state_size': 0}, 'state_size: expected a positive int, got 0'),
        ({'group_norm_size': 16}, "unknown key 'group_norm_size'"),
    ],
    'DefocusRetNet': [
        *EMBED_DIMS,
        (
            {'value_channels': 33},
            'num_heads: expected a positive number that divides value_channels 33, got 2',
        ),
        ({'feedforward_channels': 0}, 'feedforward_channels must be a positive integer, got 0'),
        ({'intermediate_size': 32}, "unknown key 'intermediate_size'"),
    ],
    'DefocusViT': [*EMBED_DIMS, ({'num_layers': 3}, "unknown key 'num_layers'")],
    'MambaND': GROUPS,
    'S4NDViT': [({'state_size': 3}, 'state_size: expected a positive multiple of 2, got 3')],
    'VisionRWKV': [({'embed_dims': 18}, 'embed_dims: expected a positive multiple of 4, got 18')],
}


@pytest.mark.parametrize(
    ('family', 'change', 'message'),
    [(family, *case) for family, cases in BAD_KEYS.items() for case in cases],
)
def test_bad_keys_of_an_architecture_are_named(tiny_archs, family, change, message):
    with pytest.raises(ValueError, match=f'arch of {family}: {message}'):
        getattr(models, family)({**tiny_archs[family], **change}, img_size=32)


@pytest.mark.parametrize('family', ['DefocusRetNet', 'DefocusViT'])
def test_a_decay_of_other_families_is_an_error_that_names_them(family):
    others = 'DefocusMamba2, Adventurer, DefocusMamba, BidirectionalMamba, MambaND'
    message = f"{family} has learnable, fixed, none; 'data_dependent' is for {others}"
    with pytest.raises(ValueError, match=message):
        getattr(models, family)('tiny', decay='data_dependent')


def test_an_unknown_decay_is_an_error_that_lists_those_of_the_family(build):
    own = ', '.join(type(build()).mixer.decays)
    with pytest.raises(ValueError, match=f"decay: expected one of {own}, got 'learned'"):
        build(decay='learned')


def test_the_cls_token_and_the_tokens_have_names_and_unpack(build):
    (output,) = build(out_type='cls_and_tokens')(images_of(2))
    cls_token, tokens = output
    assert cls_token is output.cls_token and tokens is output.tokens


def test_blocks_are_tapped_inside_of_a_larger_model(build):
    backbone = build()
    with backbone.tapped() as taps:
        torch.nn.Sequential(backbone)(images_of(2))
    length = 16 + backbone.has_cls_token
    assert {taps[f'layer{layer}.output'].shape for layer in (1, 2, 3)} == {(2, length, 16)}
