import pytest
from mmengine.registry import FUNCTIONS
from mmengine.runner import Runner

HOOKS = [dict(type='EpochSeedHook')]


@FUNCTIONS.register_module()
def toy_worker_init(worker_id):
    """A user's own function."""


def draws(runner):
    """Trains and returns what the model was fed, by epoch."""
    runner.train()
    steps = runner.model.seen
    return [steps[i : i + 2] for i in range(0, len(steps), 2)]


def numbers(epoch):
    """Returns all random numbers that were drawn in an epoch."""
    return [number for step in epoch for sample in step for number in sample[1:]]


@pytest.mark.parametrize('num_workers', [0, 2])
def test_each_epoch_draws_its_own_numbers(make_runner, num_workers):
    runner = make_runner(custom_hooks=HOOKS, loader=dict(num_workers=num_workers))
    first, second, third = map(numbers, draws(runner))
    assert set(first).isdisjoint(second)
    assert set(second).isdisjoint(third)


@pytest.mark.parametrize('num_workers', [0, 2])
def test_a_resumed_epoch_draws_the_same_numbers(make_runner, tmp_path, num_workers):
    loader = dict(num_workers=num_workers)
    whole = draws(make_runner(tmp_path / 'whole', custom_hooks=HOOKS, loader=loader))
    resumed = make_runner(
        tmp_path / 'resumed',
        custom_hooks=HOOKS,
        loader=loader,
        load_from=str(tmp_path / 'whole' / 'epoch_1.pth'),
        resume=True,
    )
    assert draws(resumed) == whole[1:]


def test_workers_of_one_epoch_differ(make_runner):
    first = numbers(draws(make_runner(custom_hooks=HOOKS, loader=dict(num_workers=2)))[0])
    assert len(set(first)) == len(first)


def test_workers_that_outlive_an_epoch_draw_the_same_numbers(make_runner, tmp_path):
    fresh, lasting = (
        draws(
            make_runner(
                tmp_path / str(persistent),
                custom_hooks=HOOKS,
                loader=dict(num_workers=1, persistent_workers=persistent),
            )
        )
        for persistent in (False, True)
    )
    assert fresh == lasting


def test_runs_in_a_loop_without_epochs(make_runner):
    loader = dict(sampler=dict(type='InfiniteSampler'))
    train_cfg = dict(by_epoch=False, max_iters=4, val_interval=4)
    runner = make_runner(custom_hooks=HOOKS, loader=loader, train_cfg=train_cfg)
    first, second = map(numbers, draws(runner))
    assert set(first).isdisjoint(second)


@pytest.mark.parametrize(
    ('loader', 'train_cfg', 'message'),
    [
        (
            dict(num_workers=1, persistent_workers=True),
            dict(by_epoch=True, max_epochs=2),
            'persistent_workers=False, got True',
        ),
        ({}, dict(by_epoch=False, max_iters=2), 'by_epoch=True'),
    ],
)
def test_refuses_what_a_runner_of_mmengine_cannot_resume(make_runner, loader, train_cfg, message):
    runner = make_runner(
        custom_hooks=HOOKS, loader=loader, train_cfg=train_cfg, runner_class=Runner
    )
    with pytest.raises(ValueError, match=message):
        runner.train()


def test_keeps_a_worker_init_fn_of_the_config(make_runner):
    loader = dict(worker_init_fn=dict(type='toy_worker_init'))
    runner = make_runner(custom_hooks=HOOKS, loader=loader)
    runner.train()
    assert runner.train_dataloader.worker_init_fn.func is toy_worker_init
