"""A training that is too short for its schedules says so."""

import pytest

from mmdefocus.engine.hooks import ScheduleEndHook


@pytest.fixture
def warnings_of(make_runner, monkeypatch):
    """Trains for 3 epochs of 2 iterations with a schedule; returns the warnings."""

    def train(**schedule):
        runner = make_runner(param_scheduler=[schedule])
        runner.register_hook(ScheduleEndHook())
        told = []
        monkeypatch.setattr(runner.logger, 'warning', lambda text, found: told.append(found))
        runner.train()
        return told

    return train


@pytest.mark.parametrize(
    ('schedule', 'message'),
    [
        (
            dict(type='LinearLR', by_epoch=False, end=500),
            'LinearLR goes on to iteration 500, but the training ends at iteration 6',
        ),
        (
            dict(type='CosineAnnealingLR', T_max=30, end=30),
            'CosineAnnealingLR goes on to epoch 30, but the training ends at epoch 3',
        ),
        (
            dict(type='MultiStepLR', milestones=[2, 8]),
            'MultiStepLR goes on to epoch 8, but the training ends at epoch 3',
        ),
        (
            dict(type='LinearLR', end=5, convert_to_iter_based=True),
            'LinearLR goes on to iteration 10, but the training ends at iteration 6',
        ),
    ],
)
def test_a_schedule_beyond_the_training_is_told(warnings_of, schedule, message):
    assert warnings_of(**schedule) == [message]


@pytest.mark.parametrize(
    'schedule',
    [
        dict(type='LinearLR', by_epoch=False, end=6),
        dict(type='CosineAnnealingLR', T_max=3),
        dict(type='MultiStepLR', milestones=[1, 3]),
    ],
)
def test_a_schedule_within_the_training_is_not_told(warnings_of, schedule):
    assert warnings_of(**schedule) == []
