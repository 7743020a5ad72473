import os
import signal

import pytest
from mmengine.hooks import Hook

from mmdefocus.checkpoints.files import read_checkpoint
from mmdefocus.engine.preemption import STOPPED, Preempted, StopSignals


class SignalAt(Hook):
    """Sends a signal to this process before a step."""

    def __init__(self, step, number):
        self.step = step
        self.number = number

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.step:
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_a_signal_ends_the_training_after_the_step_with_all_saved(make_runner, tmp_path, number):
    whole = make_runner(tmp_path / 'whole')
    whole.train()
    handlers = signal.getsignal(number)
    runner = make_runner(tmp_path / 'parts')
    runner.register_hook(SignalAt(2, number))
    with pytest.raises(Preempted) as stop:
        runner.train()
    assert stop.value.code == STOPPED == 75
    assert signal.getsignal(number) is handlers
    interim = tmp_path / 'parts' / 'interim.pth'
    assert read_checkpoint(str(interim))['meta']['iter'] == 3
    assert (tmp_path / 'parts' / 'last_checkpoint').read_text() == str(interim)

    resumed = make_runner(tmp_path / 'parts', resume=True)
    resumed.train()
    assert resumed.model.seen == whole.model.seen[3:]
    assert not interim.exists()


def test_a_second_interrupt_ends_at_once():
    with StopSignals() as signals:
        os.kill(os.getpid(), signal.SIGINT)
        assert signals.received == 'SIGINT'
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_a_checkpoint_by_time_replaces_the_one_before(make_runner, tmp_path):
    hooks = [dict(type='InterimCheckpointHook', minutes=1e-9)]
    runner = make_runner(
        custom_hooks=hooks, default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=9))
    )
    seen = []

    class Look(Hook):
        priority = 'LOWEST'

        def before_train_iter(self, runner, batch_idx, data_batch=None):
            path = tmp_path / 'interim.pth'
            seen.append(read_checkpoint(str(path))['meta']['iter'] if path.exists() else 0)

    runner.register_hook(Look())
    runner.train()
    assert seen == [0, 1, 2, 3, 4, 5]


def test_refuses_a_time_that_is_not_above_zero(make_runner):
    with pytest.raises(ValueError, match='minutes: expected a time above 0, got 0'):
        make_runner(custom_hooks=[dict(type='InterimCheckpointHook', minutes=0)])


def test_the_cost_of_saving_is_logged(make_runner, tmp_path):
    make_runner().train()
    (log,) = tmp_path.glob('*/*.log')
    assert 'epoch_1.pth: 0.0 MiB written in 0.' in log.read_text()
