import pytest
import torch

HOOKS = [dict(type='NonFiniteLossHook')]


def break_loss(runner, step, value):
    """Makes the loss term `loss_bad` take a value at a step, counted from 1."""
    model, steps = runner.model, []

    def extra_loss(output):
        steps.append(None)
        return output.mean() * 0 + (value if len(steps) == step else 0)

    model.extra_loss = extra_loss
    return runner


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_stops_at_first_non_finite_loss_and_names_it(make_runner, value):
    runner = break_loss(make_runner(custom_hooks=HOOKS), step=4, value=value)
    message = rf'^loss_bad is {value} at iteration 4 \(epoch 2\)'
    with pytest.raises(FloatingPointError, match=message):
        runner.train()
    assert runner.iter == 3


def test_keeps_and_names_last_good_checkpoint(make_runner, tmp_path):
    runner = break_loss(make_runner(custom_hooks=HOOKS), step=3, value=float('nan'))
    with pytest.raises(FloatingPointError, match=r'last good checkpoint is .*epoch_1\.pth'):
        runner.train()
    assert [path.name for path in tmp_path.glob('*.pth')] == ['epoch_1.pth']
    weights = torch.load(tmp_path / 'epoch_1.pth', weights_only=False)['state_dict']
    assert all(weight.isfinite().all() for weight in weights.values())


def test_says_so_if_there_is_no_checkpoint(make_runner):
    runner = break_loss(make_runner(custom_hooks=HOOKS), step=1, value=float('nan'))
    with pytest.raises(FloatingPointError, match='no checkpoint had been saved'):
        runner.train()


def test_saves_no_weights_that_the_last_step_of_an_epoch_has_spoilt(make_runner, tmp_path):
    runner = make_runner(custom_hooks=HOOKS)
    spoil = torch.full((1, 1), float('nan'))
    # The loss of step 2 is finite, its gradient is not.
    runner.model.linear.weight.register_hook(lambda grad: spoil if runner.iter == 1 else grad)
    with pytest.raises(FloatingPointError, match=r'linear\.weight is not finite after epoch 1'):
        runner.train()
    assert not list(tmp_path.glob('*.pth'))


def test_lets_a_finite_training_pass(make_runner, tmp_path):
    make_runner(custom_hooks=HOOKS).train()
    assert (tmp_path / 'epoch_3.pth').exists()
