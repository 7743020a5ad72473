"""Plans of trainings, and what they have logged."""

import json

import pytest

from mmdefocus.engine.planned_runs import make_plan, validations_of
from mmdefocus.utils.errors import InputError


@pytest.fixture
def plan_of(tmp_path):
    """Returns the plan of a config with a training loop."""

    def plan_of(epochs=None, **train_cfg):
        config = tmp_path / 'dino.py'
        config.write_text(f'train_cfg = {train_cfg}\nval_dataloader = dict()\n')
        return make_plan(config, epochs)

    return plan_of


@pytest.fixture
def write_validations(tmp_path):
    """Writes the log of a detector: epochs, each with its mAP and AP50; returns its folder."""

    def write(*validations):
        log = tmp_path / 'work' / '1' / 'vis_data' / 'scalars.json'
        log.parent.mkdir(parents=True)
        keys = ('step', 'coco/bbox_mAP', 'coco/bbox_mAP_50')
        log.write_text('\n'.join(json.dumps(dict(zip(keys, v, strict=True))) for v in validations))
        return tmp_path / 'work'

    return write


def test_a_plan_has_as_many_epochs_as_are_asked_for(plan_of):
    assert (plan_of(max_epochs=5).epochs, plan_of(3, max_epochs=5).epochs) == (5, 3)


@pytest.mark.parametrize(
    ('train_cfg', 'validations'),
    [
        ({}, 5),
        (dict(val_interval=2), 3),  # in the last epoch, too
        (dict(val_begin=4), 2),
        (dict(val_begin=0), 5),
    ],
)
def test_a_plan_knows_how_many_validations_there_will_be(plan_of, train_cfg, validations):
    assert plan_of(max_epochs=5, **train_cfg).validations == validations


@pytest.mark.parametrize(
    ('train_cfg', 'message'),
    [
        (dict(by_epoch=False, max_iters=9), 'train_cfg: expected max_epochs, since only'),
        (dict(by_epoch=False, max_epochs=9), 'train_cfg: expected max_epochs, since only'),
        (dict(max_epochs='9'), 'train_cfg.max_epochs: expected a positive int'),
        (dict(max_epochs=9, val_interval=0), 'train_cfg.val_interval: expected a positive int'),
    ],
)
def test_what_cannot_be_compared_by_epochs_is_named(plan_of, train_cfg, message):
    with pytest.raises(ValueError, match=r'dino\.py: ' + message):
        plan_of(**train_cfg)


def test_a_config_that_is_not_validated_is_named(tmp_path):
    config = tmp_path / 'a.py'
    config.write_text('train_cfg = dict(max_epochs=1)')
    with pytest.raises(InputError, match=r"a\.py: the config has no 'val_dataloader'"):
        make_plan(config)


def test_a_detector_has_a_validation_in_some_epochs_and_in_the_last(plan_of, write_validations):
    folder = write_validations((2, 0.1, 0.3), (4, 0.4, 0.6), (5, 0.583, 0.855))
    curves = validations_of(plan_of(max_epochs=5, val_interval=2), folder)
    assert curves == {'bbox_mAP': [10.0, 40.0, 58.3], 'bbox_mAP_50': [30.0, 60.0, 85.5]}


@pytest.mark.parametrize('validations', [[], [(2, 0.1, 0.3)]])
def test_a_run_that_lacks_validations_is_no_result(plan_of, write_validations, validations):
    message = f'expected 2 validations in 4 epochs, got {len(validations)}'
    with pytest.raises(InputError, match=message):
        validations_of(plan_of(max_epochs=4, val_interval=2), write_validations(*validations))


def test_a_validation_that_gave_no_number_is_no_result(plan_of, write_validations):
    with pytest.raises(InputError, match='bbox_mAP: expected finite numbers'):
        validations_of(plan_of(max_epochs=1), write_validations((1, float('nan'), 0.3)))
