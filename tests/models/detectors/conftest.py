"""A tiny DINO and batches of images with any boxes."""

from pathlib import Path

import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from mmengine.structures import InstanceData

CONFIG = Path(__file__).parents[2] / 'data' / 'tiny_dino.py'
SIDE = 96


@pytest.fixture
def build():
    """Builds the detector in training, with the given changes to its config."""

    def build(**changes):
        cfg = Config.fromfile(CONFIG)
        cfg.merge_from_dict({f'model.{key}': value for key, value in changes.items()})
        torch.manual_seed(0)
        with DefaultScope.overwrite_default_scope('mmdet'):
            model = MODELS.build(cfg.model)
        model.init_weights()
        return model.train()

    return build


@pytest.fixture
def batch():
    """Makes a batch with an image for each list of boxes, x1, y1, x2, y2 in pixels."""

    def make(*boxes):
        torch.manual_seed(1)
        samples = []
        for corners in boxes:
            corners = torch.as_tensor(corners, dtype=torch.float32).reshape(-1, 4)
            labels = torch.arange(len(corners)) % 10
            sample = DetDataSample(gt_instances=InstanceData(bboxes=corners, labels=labels))
            sample.set_metainfo(
                dict(img_shape=(SIDE, SIDE), batch_input_shape=(SIDE, SIDE), pad_shape=(SIDE, SIDE))
            )
            samples.append(sample)
        return torch.randn(len(boxes), 3, SIDE, SIDE), samples

    return make


@pytest.fixture
def scattered():
    """Makes random boxes inside the image."""

    def make(count):
        generator = torch.Generator().manual_seed(count)
        corners = torch.rand(count, 2, generator=generator) * (SIDE - 20)
        sizes = torch.rand(count, 2, generator=generator) * 15 + 4
        return torch.cat((corners, corners + sizes), dim=1)

    return make


@pytest.fixture
def losses():
    """Computes the losses of a batch, with the same noise whenever it is called."""

    def compute(model, batch):
        torch.manual_seed(2)
        found = model.loss(*batch)
        return {
            name: sum(value) if isinstance(value, list) else value for name, value in found.items()
        }

    return compute
