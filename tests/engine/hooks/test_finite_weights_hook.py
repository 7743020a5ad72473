import pytest
import torch
from mmengine.hooks import Hook

NAN, INF = float('nan'), float('inf')


class Spoil(Hook):
    """Spoils a weight, or the momentum of the optimizer, after an iteration (from 0 on)."""

    priority = 'HIGHEST'

    def __init__(self, iteration, value, part='weight'):
        self.iteration, self.value, self.part = iteration, value, part

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter != self.iteration:
            return
        if self.part == 'weight':
            with torch.no_grad():
                runner.model.linear.weight.fill_(self.value)
        else:
            for state in runner.optim_wrapper.optimizer.state.values():
                state['momentum_buffer'].fill_(self.value)


def parts(spoil, interval=2):
    checkpoint = dict(type='CheckpointHook', by_epoch=False, interval=interval, max_keep_ckpts=1)
    return dict(
        train_cfg=dict(by_epoch=False, max_iters=8),
        loader=dict(sampler=dict(type='InfiniteSampler')),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01, momentum=0.9)),
        default_hooks=dict(checkpoint=checkpoint),
        custom_hooks=[spoil],
    )


@pytest.mark.parametrize('value', [NAN, INF])
def test_lost_weights_of_an_iteration_loop_are_not_saved(make_runner, tmp_path, value):
    with pytest.raises(FloatingPointError, match=r'weight linear\.weight is NaN .*iter_4\.pth'):
        make_runner(**parts(Spoil(5, value))).train()
    assert [path.name for path in tmp_path.glob('*.pth')] == ['iter_4.pth']


def test_lost_state_of_the_optimizer_is_not_saved(make_runner, tmp_path):
    with pytest.raises(FloatingPointError, match=r'state of the optimizer is NaN.*iter_4\.pth'):
        make_runner(**parts(Spoil(5, NAN, 'momentum'))).train()
    assert [path.name for path in tmp_path.glob('*.pth')] == ['iter_4.pth']


def test_first_checkpoint_is_not_called_good_when_it_is_lost(make_runner, tmp_path):
    with pytest.raises(FloatingPointError, match='no checkpoint had been saved'):
        make_runner(**parts(Spoil(1, NAN))).train()
    assert not list(tmp_path.glob('*.pth'))


def test_interim_checkpoint_is_not_written_with_lost_weights(make_runner, tmp_path):
    runner = make_runner(**parts(Spoil(0, NAN), interval=100))
    runner.interim_hook.minutes = 1e-9
    with pytest.raises(FloatingPointError, match='nothing is saved'):
        runner.train()
    assert not list(tmp_path.glob('*.pth'))
