"""A runner that trains one weight, for hooks and for what the runner itself does."""

import itertools

import numpy as np
import pytest
import torch
import toys  # noqa: F401  registers a data set
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.registry import HOOKS, METRICS, MODELS
from torch import nn

from mmdefocus.engine.runner import CheckedRunner

COUNTER = itertools.count()


@MODELS.register_module()
class ToyModel(BaseModel):
    """Learns w in `w * x`; keeps what it was fed."""

    def __init__(self, init_cfg=None):
        super().__init__(init_cfg=init_cfg)
        self.linear = nn.Linear(1, 1, bias=False)
        self.seen = []

    def forward(self, inputs, mode='tensor'):
        self.seen.append(torch.stack(inputs).tolist())
        output = self.linear(torch.stack(inputs)[:, :1])
        if mode == 'predict':
            return [output]
        return {'loss_good': output.square().mean(), 'loss_bad': self.extra_loss(output)}

    def extra_loss(self, output):
        return output.mean() * 0


@MODELS.register_module()
class DropoutModel(ToyModel):
    """A model that draws random numbers, with a norm that keeps statistics."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Sequential(
            nn.Linear(1, 4), nn.GroupNorm(2, 4), nn.BatchNorm1d(4), nn.Dropout(), nn.Linear(4, 1)
        )


@METRICS.register_module()
class MeanOutput(BaseMetric):
    """The mean of what a model returns."""

    def process(self, data_batch, data_samples):
        self.results += [sample.mean().item() for sample in data_samples]

    def compute_metrics(self, results):
        return {'mean': float(np.mean(results))}


@HOOKS.register_module()
class StopAfter(Hook):
    """Breaks a training off after some steps, when the checkpoint has been written."""

    priority = 'LOWEST'

    def __init__(self, steps):
        self.steps = steps

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter + 1 == self.steps:
            raise KeyboardInterrupt


@pytest.fixture
def make_runner(tmp_path):
    """Builds a runner in `tmp_path`; keyword arguments replace parts of its config."""

    def make(work_dir=tmp_path, loader=(), runner_class=CheckedRunner, **parts):
        config = dict(
            model=dict(type='ToyModel'),
            work_dir=str(work_dir),
            train_dataloader=dict(
                dict(
                    dataset=dict(type='ToyDataset'),
                    batch_size=2,
                    num_workers=0,
                    sampler=dict(type='DefaultSampler', shuffle=True),
                ),
                **dict(loader),
            ),
            train_cfg=dict(by_epoch=True, max_epochs=3),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01)),
            randomness=dict(seed=0),
            experiment_name=f'toy{next(COUNTER)}',
        )
        return runner_class(**dict(config, **parts))

    return make
