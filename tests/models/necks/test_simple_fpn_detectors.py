"""The neck serves other detectors of mmdet too."""

from pathlib import Path

import pytest
import torch
from mmdet.testing import demo_mm_inputs
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, DefaultScope

import mmdefocus.models  # noqa: F401

ARCH = dict(Config.fromfile(Path(__file__).parents[2] / 'data' / 'tiny_arch.py').arch)
BACKBONE = f"""
model = dict(
    backbone=dict(
        _delete_=True,
        type='DefocusMamba',
        arch={ARCH},
        out_type='featmap',
    ),
"""
FASTER_RCNN = f"""
_base_ = 'mmdet::_base_/models/faster-rcnn_r50_fpn.py'
{BACKBONE}
    # strides 4, 8, 16, 32 and 64, for which the anchors are
    neck=dict(_delete_=True, type='SimpleFPN', in_channels=16, out_channels=16, num_outs=5),
    rpn_head=dict(in_channels=16, feat_channels=16),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=16),
        bbox_head=dict(in_channels=16, fc_out_channels=32),
    ),
)
"""
RETINANET = f"""
_base_ = 'mmdet::_base_/models/retinanet_r50_fpn.py'
{BACKBONE}
    # strides 8, 16, 32, 64 and 128
    neck=dict(
        _delete_=True,
        type='SimpleFPN',
        in_channels=16,
        out_channels=16,
        scales=(2, 1, 0.5),
        num_outs=5,
    ),
    bbox_head=dict(in_channels=16, feat_channels=16, stacked_convs=1),
)
"""


@pytest.mark.parametrize(
    ('config', 'strides'),
    [(FASTER_RCNN, (4, 8, 16, 32, 64)), (RETINANET, (8, 16, 32, 64, 128))],
    ids=['Faster R-CNN', 'RetinaNet'],
)
def test_detector_trains_and_predicts_on_the_pyramid(tmp_path, config, strides):
    (tmp_path / 'config.py').write_text(config)
    cfg = Config.fromfile(tmp_path / 'config.py')
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(cfg.model)
    model.init_weights()
    levels = model.extract_feat(torch.zeros(1, 3, 128, 256))
    assert [tuple(x.shape[2:]) for x in levels] == [(128 // s, 256 // s) for s in strides]

    optim_wrapper = build_optim_wrapper(model, dict(optimizer=dict(type='SGD', lr=1e-3)))
    before = {name: p.detach().clone() for name, p in model.backbone.named_parameters()}
    batch = demo_mm_inputs(2, [[3, 128, 192], [3, 96, 128]], num_classes=80)
    losses = model.train().train_step(batch, optim_wrapper)
    assert losses['loss'].isfinite()
    changed = {n for n, p in model.backbone.named_parameters() if not torch.equal(p, before[n])}
    assert {'patch_embed.projection.weight', 'blocks.1.mixer.in_proj.weight'} <= changed

    predictions = model.eval().test_step(batch)
    assert all(sample.pred_instances.bboxes.shape[1] == 4 for sample in predictions)
