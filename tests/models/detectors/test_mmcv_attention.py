"""mmcv's deformable attention, whose numbers and gradients ours must not change."""

import inspect

import pytest
import torch
from mmcv.ops import MultiScaleDeformableAttention, multi_scale_deform_attn

from mmdefocus.models.detectors.mmcv_attention import deformable_attention
from mmdefocus.ops import replaced
from mmdefocus.ops.operator import operators

NAME = 'multi_scale_deformable_attn_pytorch'
SHAPES = torch.tensor([[6, 8], [3, 4]])


@pytest.fixture
def calls():
    """Counts how often our operator runs."""
    counted = []

    def count(*arguments):
        counted.append(arguments[0].shape)
        return operators()['ms_deform_attn'].run(*arguments)

    with replaced({'ms_deform_attn': count}):
        yield counted


def attend(module):
    """The output of mmcv's module and the gradients of its parameters."""
    generator = torch.Generator().manual_seed(1)
    query = torch.randn(2, 60, 32, generator=generator)
    reference = torch.rand(2, 60, 2, 2, generator=generator)
    y = module(query, reference_points=reference, spatial_shapes=SHAPES)
    return y, torch.autograd.grad(y.square().sum(), list(module.parameters()))


def test_module_of_mmcv_computes_as_before(calls, monkeypatch):
    torch.manual_seed(0)
    module = MultiScaleDeformableAttention(32, 4, 2, 3, batch_first=True, dropout=0)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    found = attend(module)
    assert len(calls) == 1
    monkeypatch.setattr(multi_scale_deform_attn, NAME, inspect.unwrap(deformable_attention))
    expected = attend(module)
    assert len(calls) == 1
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('detector', ['DefocusDINO', 'DINO'])
def test_detectors_compute_with_ours(detector, build, batch, losses, calls):
    changes = {} if detector == 'DefocusDINO' else {'type': 'DINO', 'bbox_head.type': 'DINOHead'}
    losses(build(**changes), batch([[10.0, 20.0, 40.0, 60.0]]))
    assert len(calls) == 3  # a layer of the encoder, two of the decoder


def test_deformable_detr_computes_with_ours(calls):
    from mmdet.models.layers import DeformableDetrTransformerEncoder

    layer = dict(
        self_attn_cfg=dict(embed_dims=32, num_heads=4, num_levels=2, batch_first=True),
        ffn_cfg=dict(embed_dims=32, feedforward_channels=64),
    )
    encoder = DeformableDetrTransformerEncoder(num_layers=2, layer_cfg=layer)
    pixels = int(SHAPES.prod(1).sum())
    encoder(
        query=torch.randn(1, pixels, 32),
        query_pos=torch.randn(1, pixels, 32),
        key_padding_mask=None,
        spatial_shapes=SHAPES,
        level_start_index=torch.tensor([0, 48]),
        valid_ratios=torch.ones(1, 2, 2),
    )
    assert calls == [(1, pixels, 4, 8)] * 2
