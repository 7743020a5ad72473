"""What the runner does with images and with predictions that are not finite."""

import pytest
from mmengine.config import ConfigDict

from mmdefocus.datasets.transforms.load_image import LoadImage, with_strict_loading


@pytest.mark.parametrize('name', ['LoadImageFromFile', 'mmdet.LoadImageFromFile'])
def test_mmcvs_loader_is_replaced_inside_wrappers_too(name):
    pipeline = [ConfigDict(type=name, to_float32=True), ConfigDict(type='Resize', scale=(2, 2))]
    given = ConfigDict(dataset=dict(type='RepeatDataset', dataset=dict(pipeline=pipeline)))
    first, second = with_strict_loading(given).dataset.dataset.pipeline
    assert first == dict(type=LoadImage, to_float32=True)
    assert second == pipeline[1]
    assert given.dataset.dataset.pipeline[0].type == name


def test_a_loader_with_arguments_of_its_own_stays():
    step = dict(type='LoadImageFromFile', ignore_empty=True)
    assert with_strict_loading(step) == step


@pytest.mark.parametrize(
    'message', ['matrix contains invalid numeric entries', 'cost matrix is infeasible']
)
def test_predictions_that_cannot_be_matched_name_the_iteration(make_runner, monkeypatch, message):
    runner = make_runner()

    def diverge(self, output):
        if runner.iter == 1:
            raise ValueError(message)
        return output.mean()

    monkeypatch.setattr(type(runner.model), 'extra_loss', diverge)
    with pytest.raises(FloatingPointError) as error:
        runner.train()
    assert str(error.value).startswith(
        'the predictions are not finite at iteration 2 (epoch 1); training is stopped'
    )


def test_another_error_of_a_step_stays_as_it_is(make_runner, monkeypatch):
    runner = make_runner()

    def fail(self, output):
        raise ValueError('other')

    monkeypatch.setattr(type(runner.model), 'extra_loss', fail)
    with pytest.raises(ValueError, match='other'):
        runner.train()
