"""Schedules that are drawn without training, beside those of a training."""

import json

import pytest
from mmengine.config import Config

from mmdefocus.engine.config.schedule_curves import schedule_curves

SCHEDULES = """
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, end=3),
    dict(type='CosineAnnealingLR', by_epoch=True, begin=1, convert_to_iter_based=True),
]
default_hooks['logger'] = dict(type='LoggerHook', interval=1)
log_processor = dict(window_size=1)
custom_hooks = [
    dict(type='DropPathScheduleHook', start=0.1, end=0.7, by_epoch=BY_EPOCH),
    dict(type='AuxHeadHook', start=1.0, end=0.25),
]
model['head']['aux_loss_weight'] = 2.0
"""
LOGGED = {
    'learning rate': 'lr',
    'drop path rate': 'drop_path_rate',
    'auxiliary weight': 'aux_weight',
}


@pytest.mark.parametrize('by_epoch', [True, False])
def test_curves_are_what_a_training_logs(workshop, by_epoch):
    config = workshop.config(SCHEDULES.replace('BY_EPOCH', str(by_epoch)))
    workshop.run('train', config, '--work-dir', 'run')
    (log,) = workshop.path.glob('run/*/vis_data/scalars.json')
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    steps = [line for line in lines if 'lr' in line]
    curves = schedule_curves(Config.fromfile(config), len(steps) // 4)
    assert curves.unit == 'epoch' and curves.progress[-1] == 4 - 4 / len(steps)
    assert curves.values.keys() == LOGGED.keys()
    for name, key in LOGGED.items():
        assert curves.values[name] == pytest.approx([line[key] for line in steps]), name


def test_without_hooks_the_rates_of_the_model_stay(workshop):
    config = workshop.config(
        "custom_hooks = []\nmodel['backbone']['drop_path_rate'] = 0.2\nparam_scheduler = []\n"
    )
    curves = schedule_curves(Config.fromfile(config), 2)
    assert set(curves.values['drop path rate']) == {0.2}
    assert set(curves.values['auxiliary weight']) == {1.0}
    assert len(set(curves.values['learning rate'])) == 1


def test_a_training_may_count_iterations(workshop):
    config = workshop.config(
        "train_cfg = dict(_delete_=True, type='IterBasedTrainLoop', max_iters=5)\n"
        "param_scheduler = [dict(type='LinearLR', start_factor=0.5, by_epoch=False, end=5)]\n"
    )
    curves = schedule_curves(Config.fromfile(config), 1)
    assert (curves.unit, curves.progress) == ('iteration', [0, 1, 2, 3, 4])
    assert curves.values['drop path rate'] == pytest.approx([0.1, 0.25, 0.4, 0.55, 0.7])


def test_the_tool_counts_the_data_and_draws(workshop, capfd):
    workshop.run('analysis/vis_scheduler', workshop.config(), '--out', 'new/curves.png')
    assert (workshop.path / 'new' / 'curves.png').read_bytes().startswith(b'\x89PNG')
    written = capfd.readouterr().out
    assert 'learning rate' in written and 'auxiliary weight' in written


def test_only_a_png_is_written(workshop):
    found = workshop.error('analysis/vis_scheduler', workshop.config(), '--out', 'curves.svg')
    assert found == '--out: expected a name that ends in .png, got curves.svg'


def drawing_error(workshop, extra):
    return workshop.error(
        *('analysis/vis_scheduler', workshop.config(extra)),
        *('--out', 'curves.png', '--dataset-size', 6),
    )


@pytest.mark.parametrize('size', [0, None, 'six'])
def test_a_batch_that_is_no_number_of_images_is_refused(workshop, size):
    found = drawing_error(workshop, f"train_dataloader['batch_size'] = {size!r}\n")
    assert f'train_dataloader.batch_size: expected a positive int, got {size!r}' in found


def test_a_scheduler_that_is_not_registered_is_refused(workshop):
    found = drawing_error(workshop, "param_scheduler = [dict(type='CosinAnnealingLR')]\n")
    assert found.startswith("type 'CosinAnnealingLR' is not registered")


def test_a_training_too_long_to_go_through_is_refused(workshop):
    found = drawing_error(workshop, 'train_cfg = dict(max_epochs=1_000_000_000)\n')
    assert 'expected a training of at most 10,000,000 steps, got' in found
