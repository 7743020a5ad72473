"""A training that is stopped anywhere and resumed equals an unbroken one, bit for bit."""

from pathlib import Path

import pytest
import torch
from trainings import difference

from mmdefocus.checkpoints.files import read_checkpoint
from mmdefocus.engine.flexible_runner import CheckedFlexibleRunner
from mmdefocus.utils.errors import InputError

STEPS = 12
EVERY_STEP = dict(checkpoint=dict(type='CheckpointHook', interval=1, by_epoch=False))


EPOCHS = dict(train_cfg=dict(by_epoch=True, max_epochs=6))
ITERATIONS = dict(train_cfg=dict(by_epoch=False, max_iters=STEPS))
INFINITE = dict(loader=dict(sampler=dict(type='InfiniteSampler')))
SGD = dict(type='SGD', lr=0.1, momentum=0.9)
WAYS = dict(
    epochs=EPOCHS,
    iterations=dict(ITERATIONS, **INFINITE),
    laps=ITERATIONS,
    accumulation=dict(EPOCHS, optim_wrapper=dict(optimizer=SGD, accumulative_counts=5)),
    ema=dict(EPOCHS, custom_hooks=[dict(type='EMAHook', momentum=0.1)]),
    bf16=dict(
        ITERATIONS,
        **INFINITE,
        optim_wrapper=dict(type='BFloat16OptimWrapper', optimizer=SGD, accumulative_counts=2),
    ),
    workers=dict(EPOCHS, loader=dict(num_workers=2)),
    lasting_workers=dict(ITERATIONS, loader=dict(num_workers=1, persistent_workers=True)),
    epoch_seed=dict(EPOCHS, custom_hooks=[dict(type='EpochSeedHook')]),
)
FLEXIBLE = dict(runner_class=CheckedFlexibleRunner, strategy=dict(type='SingleDeviceStrategy'))
WAYS |= {f'flexible_{way}': WAYS[way] | FLEXIBLE for way in ('laps', 'accumulation', 'ema')}

VALIDATION = dict(
    val_dataloader=dict(
        dataset=dict(type='ToyDataset'),
        batch_size=2,
        num_workers=1,
        sampler=dict(type='DefaultSampler', shuffle=False),
    ),
    val_cfg={},
    val_evaluator=dict(type='MeanOutput'),
)


@pytest.fixture
def train(make_runner, tmp_path):
    """Trains in a folder; returns the runner and what is in its last checkpoint."""

    def run(folder, stop=None, resume=None, **parts):
        schedule = dict(type='CosineAnnealingLR', by_epoch='max_epochs' in parts['train_cfg'])
        if schedule['by_epoch']:
            schedule.update(convert_to_iter_based=True)
        settings = dict(
            model=dict(type='DropoutModel'),
            optim_wrapper=dict(optimizer=SGD),
            param_scheduler=schedule,
            default_hooks=EVERY_STEP,
        )
        if resume:
            settings.update(resume=True, load_from=str(tmp_path / resume))
        runner = make_runner(tmp_path / folder, **dict(settings, **parts))
        if stop:
            runner.register_hook(dict(type='StopAfter', steps=stop))
            with pytest.raises(KeyboardInterrupt):
                runner.train()
            return runner, None
        runner.train()
        return runner, read_checkpoint(str(tmp_path / folder / f'iter_{runner.iter}.pth'))

    return run


@pytest.mark.parametrize('way', WAYS)
@pytest.mark.parametrize('stop', [3, 4, 7])
def test_resumed_training_equals_an_unbroken_one(train, way, stop):
    unbroken, whole = train('whole', **WAYS[way])
    train('broken', stop=stop, **WAYS[way])
    resumed, parts = train('broken', resume=f'broken/iter_{stop}.pth', **WAYS[way])
    assert resumed.model.seen == unbroken.model.seen[stop:]
    names = {'state_dict', 'optimizer', 'param_schedulers', 'training_state', 'ema_state_dict'}
    for name in names & {*whole}:
        assert difference(whole[name], parts[name]) is None


def test_validation_changes_no_random_numbers(train):
    _, alone = train('alone', **EPOCHS)
    _, validated = train('validated', **EPOCHS, **VALIDATION)
    assert difference(alone['state_dict'], validated['state_dict']) is None


def test_checkpoint_holds_position_generators_and_gradients(train):
    _, saved = train('whole', **WAYS['accumulation'])
    del saved
    runner, _ = train('broken', stop=3, **WAYS['accumulation'])
    state = read_checkpoint(f'{runner.work_dir}/iter_3.pth')['training_state']
    assert (state['batches'], state['batches_per_epoch'], state['batch_size']) == (1, 2, 2)
    (process,) = state['processes']
    assert set(process['generators']) >= {'python', 'numpy', 'torch'}
    assert set(process['gradients']) == {n for n, _ in runner.model.named_parameters()}


def rates(runner):
    return runner.message_hub.get_scalar('train/lr').data[0].tolist()


@pytest.mark.parametrize('changed', [dict(max_epochs=9), dict(max_epochs=4)])
def test_changed_length_follows_the_schedule_of_the_config(train, changed):
    longer = dict(train_cfg=dict(by_epoch=True, **changed))
    unbroken, _ = train('longer', **longer)
    train('broken', stop=6, **EPOCHS)
    resumed, _ = train('broken', resume='broken/iter_6.pth', **longer)
    assert rates(resumed)[6:] == rates(unbroken)[6:]


def test_changed_rate_is_that_of_the_config(train):
    other = dict(EPOCHS, optim_wrapper=dict(optimizer=dict(SGD, lr=0.01, weight_decay=0.5)))
    unbroken, _ = train('other', **other)
    train('broken', stop=5, **EPOCHS)
    resumed, _ = train('broken', resume='broken/iter_5.pth', **other)
    assert rates(resumed)[5:] == rates(unbroken)[5:]
    assert resumed.optim_wrapper.param_groups[0]['weight_decay'] == 0.5


def test_another_kind_of_schedule_is_that_of_the_config(train):
    other = dict(EPOCHS, param_scheduler=dict(type='MultiStepLR', milestones=[2, 4]))
    unbroken, _ = train('other', **other)
    train('broken', stop=7, **EPOCHS)
    resumed, _ = train('broken', resume='broken/iter_7.pth', **other)
    assert rates(resumed)[7:] == rates(unbroken)[7:]


def test_changed_batch_size_goes_on_with_the_first_unseen_sample(train):
    plain = dict(EPOCHS, model=dict(type='ToyModel'))
    unbroken, _ = train('whole', **plain)
    train('broken', stop=3, **plain)
    resumed, _ = train('broken', resume='broken/iter_3.pth', **plain, loader=dict(batch_size=1))
    samples = [sample for batch in unbroken.model.seen[3:] for sample in batch]
    assert [batch[0] for batch in resumed.model.seen] == samples
    assert resumed.iter == 24


REFUSED = dict(
    seed=(dict(EPOCHS, randomness=dict(seed=1)), r'randomness.seed=1, its training has seed 0'),
    length=(dict(train_cfg=dict(by_epoch=True, max_epochs=2)), 'max_epochs is 2'),
    loop=(ITERATIONS, 'is of an epoch-based training'),
    batch=(dict(EPOCHS, loader=dict(batch_size=4)), '4 samples a step'),
)


@pytest.mark.parametrize('name', REFUSED)
def test_refuses_what_cannot_be_followed(train, name):
    parts, message = REFUSED[name]
    train('broken', stop=7, **EPOCHS)
    with pytest.raises(InputError, match=message):
        train('broken', resume='broken/iter_7.pth', **parts)


def test_refuses_to_lose_accumulated_gradients(train):
    train('broken', stop=7, **WAYS['accumulation'])
    with pytest.raises(InputError, match='gradients of an unfinished accumulation'):
        train('broken', resume='broken/iter_7.pth', **EPOCHS)


def test_a_validation_that_was_broken_off_is_done_on_resuming(train):
    parts = dict(EPOCHS, **VALIDATION)
    runner, _ = train('broken', stop=STEPS, **parts)
    resumed, _ = train('broken', resume=f'broken/iter_{STEPS}.pth', **parts)
    assert 'val/mean' in resumed.message_hub.log_scalars
    assert len(resumed.message_hub.get_scalar('val/mean').data[0]) == 6
    assert len(runner.message_hub.get_scalar('val/mean').data[0]) == 5
    assert len(resumed.model.seen) == 2  # two batches to validate, none to train


@pytest.mark.parametrize('kept', [True, False])
def test_lost_gradients_are_told_only_where_they_are_lost(train, tmp_path, kept):
    train('broken', stop=3, **WAYS['accumulation'])
    path = tmp_path / 'broken' / 'iter_3.pth'
    if not kept:
        saved = torch.load(path, weights_only=False)
        del saved['training_state']
        saved['meta'].update(epoch=1, iter=2)
        torch.save(saved, path)
    resumed, _ = train('broken', resume='broken/iter_3.pth', **WAYS['accumulation'])
    log = Path(resumed.log_dir, f'{resumed.timestamp}.log').read_text()
    assert ('Resumed iteration number is not divisible' in log) is not kept
