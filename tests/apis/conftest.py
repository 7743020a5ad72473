"""A tiny classifier with random weights."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config

from mmdefocus.apis import build_predictor
from mmdefocus.models.build import build_model

pytest.importorskip('mmpretrain')

ARCH = dict(embed_dims=16, depth=1, intermediate_size=32, time_step_rank=2, group_norm_size=16)
CONFIG = dict(
    default_scope='mmpretrain',
    model=dict(
        type='ImageClassifier',
        backbone=dict(
            type='DefocusMamba', arch=ARCH, img_size=16, patch_size=8, out_type='cls_and_tokens'
        ),
        head=dict(type='DefocusClsHead', num_classes=3, in_channels=16),
    ),
    data_preprocessor=dict(num_classes=3, mean=[127.5] * 3, std=[64.0] * 3, to_rgb=True),
    test_dataloader=dict(
        dataset=dict(
            type='CustomDataset',
            pipeline=[dict(type='LoadImageFromFile'), dict(type='PackInputs')],
        )
    ),
)


@pytest.fixture
def tiny(tmp_path):
    """A classifier of random weights: `config`, `checkpoint`, and the `weights` in it."""
    cfg = Config(CONFIG)
    torch.manual_seed(0)
    weights = build_model(cfg).state_dict()
    checkpoint = str(tmp_path / 'weights.pth')
    torch.save({'state_dict': weights}, checkpoint)
    return SimpleNamespace(config=cfg, checkpoint=checkpoint, weights=weights)


@pytest.fixture
def make_predictor(tiny):
    """Builds a predictor; the arguments are further keys of the dataset, and the checkpoint's."""

    def make(meta=None, **dataset):
        tiny.config.test_dataloader.dataset.update(dataset)
        torch.save({'state_dict': tiny.weights, 'meta': meta or {}}, tiny.checkpoint)
        return build_predictor(tiny.config, tiny.checkpoint, 'cpu')

    return make
