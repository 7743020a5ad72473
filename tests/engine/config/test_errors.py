import pytest
import torch
from mmengine.config import Config

from mmdefocus.engine.config.errors import config_errors
from mmdefocus.utils.errors import InputError


def build(make_runner, **parts):
    """Trains a runner within `config_errors` and returns the message of the error."""
    with pytest.raises(InputError) as error, config_errors(Config(parts)):
        make_runner(**parts).train()
    return str(error.value)


@pytest.mark.parametrize(
    ('parts', 'message'),
    [
        (
            dict(model=dict(type='ToyModel', int_cfg=1)),
            "ToyModel has no argument 'int_cfg'; nearest: init_cfg; it takes init_cfg",
        ),
        (
            dict(custom_hooks=[dict(type='DropPathScheduleHook', strat=0.1)]),
            "DropPathScheduleHook has no argument 'strat'; nearest: start",
        ),
        (
            dict(optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1, momentun=0.9))),
            "SGD has no argument 'momentun'; nearest: momentum",
        ),
        (
            dict(loader=dict(num_worker=0)),
            "DataLoader has no argument 'num_worker'; nearest: num_workers",
        ),
        (
            dict(train_cfg=dict(by_epoch=True, max_epoch=3)),
            "EpochBasedTrainLoop has no argument 'max_epoch'; nearest: max_epochs",
        ),
        (
            dict(randomness=dict(sed=0)),
            "Runner.set_randomness has no argument 'sed'; nearest: seed",
        ),
    ],
)
def test_unknown_argument_is_named_with_its_class_and_the_nearest(make_runner, parts, message):
    assert message in build(make_runner, **parts)


def test_unknown_type_is_named_with_the_nearest(make_runner):
    found = build(make_runner, custom_hooks=[dict(type='NonFiniteLosHook')])
    assert found.startswith("type 'NonFiniteLosHook' is not registered (mmengine::hook)")
    assert 'nearest: NonFiniteLossHook' in found


def test_part_without_a_type_is_shown(make_runner):
    found = build(make_runner, custom_hooks=[dict(interval=3)])
    assert found.startswith("the config has a part without a `type`: {'interval': 3}")


def test_value_that_a_class_refuses_is_named_with_the_class(make_runner):
    found = build(make_runner, optim_wrapper=dict(optimizer=dict(type='SGD', lr=-1.0)))
    assert found == 'SGD: Invalid learning rate: -1.0'


def test_a_class_that_names_itself_is_named_once(make_runner):
    hook = dict(type='InterimCheckpointHook', minutes=-1)
    found = build(make_runner, custom_hooks=[hook])
    assert found == 'InterimCheckpointHook: minutes: expected a time above 0, got -1'


def test_unknown_argument_in_code_is_a_programming_error(make_runner):
    def buggy(lr):
        """Takes no momentum."""

    cfg = Config(dict(optim_wrapper=dict(optimizer=dict(momentum=0.9))))
    with pytest.raises(TypeError), config_errors(cfg):
        buggy(momentum=0.9)


def test_a_missing_key_names_the_class_that_needs_it(make_runner):
    message = build(make_runner, param_scheduler=[dict(type='LinearLR', end='two')])
    assert 'LinearParamScheduler: TypeError:' in message or 'LinearLR: TypeError:' in message


def test_an_error_of_a_transform_names_the_image():
    def transform(results):
        return results['gt_bboxes']

    with pytest.raises(InputError, match=r'a/b.png: KeyError: gt_bboxes'), config_errors(Config()):
        transform({'img_path': 'a/b.png'})


@pytest.mark.parametrize(
    ('parts', 'message'),
    [
        (dict(loader=dict(batch_size='two')), 'dataloader (BatchSampler): ValueError: batch_size'),
        (dict(loader=dict(num_workers='two')), "dataloader (DataLoader): TypeError: '<' not"),
        (dict(optim_wrapper=dict(optimizer=dict(type='SGD', lr='0.1'))), 'SGD: TypeError: '),
        (dict(default_hooks=dict(logger='x')), 'the config: TypeError: '),
        (
            dict(model=dict(type='ToyModel', init_cfg='a.pth')),
            "AttributeError: 'str' object has no",
        ),
    ],
)
def test_a_value_of_another_type_names_the_part_that_meets_it(make_runner, parts, message):
    assert message in build(make_runner, **parts)


@pytest.mark.parametrize(
    ('fault', 'message'),
    [
        (lambda: {}['boxes'], 'model.linear (Linear): KeyError: boxes; MMDEFOCUS_TRACEBACK=1'),
        (lambda: [][0], 'model.linear (Linear): IndexError: list index out of range'),
        (lambda: len(1), "model.linear (Linear): TypeError: object of type 'int' has no len()"),
        (lambda: None.size, "model.linear (Linear): AttributeError: 'NoneType' object has no"),
        (lambda: torch.zeros(3) + torch.zeros(2), 'model.linear (Linear): RuntimeError: The size'),
    ],
)
def test_an_error_inside_a_model_names_the_module(make_runner, monkeypatch, fault, message):
    monkeypatch.setattr('torch.nn.Linear.forward', lambda self, x: fault())
    assert message in build(make_runner)


@pytest.mark.parametrize('fault', [ZeroDivisionError('x'), RuntimeError('x'), AttributeError('x')])
def test_what_no_value_of_a_config_causes_stays_as_it_is(make_runner, monkeypatch, fault):
    def forward(self, x):
        raise fault

    monkeypatch.setattr('torch.nn.Linear.forward', forward)
    with pytest.raises(type(fault)), config_errors(Config()):
        make_runner().train()


def test_an_error_of_a_program_stays_as_it_is():
    with pytest.raises(KeyError), config_errors(Config()):
        {}['key']
