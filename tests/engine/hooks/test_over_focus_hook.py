import itertools
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope

from mmdefocus.engine.runner import CheckedRunner

COUNTER = itertools.count()
TINY = Path(__file__).parents[2] / 'data' / 'tiny_arch.py'
ARCH = {**Config.fromfile(TINY).arch, 'depth': 3}


@DATASETS.register_module(force=True)
class NoisyImages(torch.utils.data.Dataset):
    """Images that use up the random stream."""

    metainfo = {'classes': ('a', 'b', 'c')}

    def __init__(self, with_labels=True):
        self.with_labels = with_labels

    def __len__(self):
        return 4

    def __getitem__(self, index):
        from mmpretrain.structures import DataSample

        sample = DataSample()
        if self.with_labels:
            sample.set_gt_label(index % 3)
        noise = torch.randint(0, 256, (3, 16, 16), dtype=torch.uint8)
        return {'inputs': noise, 'data_samples': sample}


def train(work_dir, hooks, **parts):
    init_default_scope('mmpretrain')
    torch.manual_seed(0)
    loader = dict(
        dataset=dict(type='NoisyImages'),
        batch_size=2,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        collate_fn=dict(type='pseudo_collate'),
    )
    backbone = dict(
        type='DefocusMamba', arch=ARCH, img_size=16, patch_size=4, out_type='cls_and_tokens'
    )
    config = dict(
        model=dict(
            type='ImageClassifier',
            data_preprocessor=dict(mean=[127.5] * 3, std=[58.0] * 3),
            backbone=dict(backbone, drop_path_rate=0.5),
            head=dict(type='DefocusClsHead', num_classes=3, in_channels=16),
        ),
        work_dir=str(work_dir),
        train_dataloader=loader,
        val_dataloader=loader,
        val_cfg={},
        val_evaluator=dict(type='Accuracy'),
        train_cfg=dict(by_epoch=True, max_epochs=2),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        custom_hooks=hooks,
        randomness=dict(seed=0),
        default_scope='mmpretrain',
        experiment_name=f'over_focus_{next(COUNTER)}',  # a logger of its own
        default_hooks=dict(checkpoint=None),
    )
    runner = CheckedRunner.from_cfg(Config(dict(config, **parts)))
    runner.train()
    return runner


def test_the_training_is_the_same_to_the_bit(tmp_path):
    plain = train(tmp_path / 'plain', [])
    measured = train(tmp_path / 'measured', [dict(type='OverFocusHook', num_images=2)])
    for name, weight in plain.model.state_dict().items():
        assert torch.equal(weight, measured.model.state_dict()[name]), name


def test_the_numbers_of_each_layer_reach_the_visualizer(tmp_path):
    runner = train(tmp_path / 'run', [dict(type='OverFocusHook', layers=[2], num_images=2)])
    (log,) = (tmp_path / 'run').glob('*/vis_data/scalars.json')
    lines = [line for line in log.read_text().splitlines() if 'over_focus' in line]
    assert len(lines) == runner.max_epochs
    for name in ('field_effective_tokens', 'field_top_5_percent', 'field_mean_distance'):
        assert f'over_focus/layer_2/{name}' in lines[0]
    assert 'over_focus/layer_2/gradient_effective_tokens' in lines[0]


def test_the_cost_is_told(tmp_path):
    train(tmp_path / 'run', [dict(type='OverFocusHook', interval=2)])
    (log,) = (tmp_path / 'run').glob('*/*.log')
    told = [line for line in log.read_text().splitlines() if 'effective tokens in layer 3' in line]
    assert len(told) == 1 and 'measured in' in told[0]


@pytest.mark.parametrize(
    ('hook', 'parts', 'message'),
    [
        (dict(interval=0), {}, 'interval: expected 1 or more, got 0'),
        (dict(num_images=0), {}, 'num_images: expected 1 or more, got 0'),
        (dict(layers=[4]), {}, 'layer: expected a number from 1 to 3, got 4'),
        (
            {},
            dict(val_dataloader=None, val_cfg=None, val_evaluator=None),
            'OverFocusHook measures validation images',
        ),
    ],
)
def test_bad_settings_are_refused(tmp_path, hook, parts, message):
    with pytest.raises(ValueError, match=message):
        train(tmp_path / 'run', [dict(type='OverFocusHook', **hook)], **parts)
