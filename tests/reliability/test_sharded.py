"""Sharded trainings on two processes of a CPU."""

from pathlib import Path

import pytest
import torch
from trainings import PLAIN

from mmdefocus.checkpoints.files import read_checkpoint

STRATEGIES = Path(__file__).parents[2] / 'configs' / '_base_' / 'strategies'
FSDP = '\n' + (STRATEGIES / 'fsdp.py').read_text()


def weights_of(path):
    return read_checkpoint(str(path))['state_dict']


@pytest.fixture
def sharded(config):
    """A config of three images a process and step."""
    return config(PLAIN + FSDP, 'sharded')


def test_pieces_train_as_the_whole_and_resume_to_the_bit(config, sharded, train, tmp_path):
    train(1, config(PLAIN + 'train_dataloader.update(batch_size=6)\n', 'plain'), 'plain')
    train(2, sharded, 'whole')
    whole = weights_of(tmp_path / 'whole' / 'iter_10.pth')
    for name, weight in weights_of(tmp_path / 'plain' / 'iter_10.pth').items():
        torch.testing.assert_close(whole[name], weight, rtol=0, atol=1e-6)

    train(2, sharded, 'parts', '--resume', str(tmp_path / 'whole' / 'iter_3.pth'))
    parts = weights_of(tmp_path / 'parts' / 'iter_10.pth')
    assert all(torch.equal(parts[name], weight) for name, weight in whole.items())


def test_foreign_weights_are_refused_with_one_message(sharded, train, tmp_path):
    torch.save(dict(state_dict=dict(other=torch.ones(1))), tmp_path / 'foreign.pth')
    options = ('--cfg-options', f'load_from={tmp_path / "foreign.pth"}')
    train(2, sharded, 'foreign', *options, status=1)
    logs = [(tmp_path / f'foreign.{rank}.log').read_text() for rank in (0, 1)]
    errors = [line for log in logs for line in log.splitlines() if line.startswith('error: ')]
    assert len(errors) == 1 and 'does not fit ImageClassifier' in errors[0]


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ("strategy['state_dict_cfg'] = 'local'\n", "strategy.state_dict_cfg: expected 'full'"),
        ("custom_hooks += [dict(type='EMAHook')]\n", 'EMAHook averages whole weights'),
    ],
)
def test_what_cannot_be_resumed_is_refused_before_it_is_trained(
    config, train, tmp_path, changes, message
):
    train(2, config(PLAIN + FSDP + changes), 'refused', status=1)
    logs = ''.join((tmp_path / f'refused.{rank}.log').read_text() for rank in (0, 1))
    assert logs.count('error: ') == 1 and message in logs


DEEPSPEED = (
    (STRATEGIES / 'deepspeed.py').read_text()
    + """
optim_wrapper = dict(
    _delete_=True,
    type='DeepSpeedOptimWrapper',
    constructor='DefocusOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05),
)
"""
)


def test_deepspeed_trains_and_its_weights_begin_another_training(
    config, train, tmp_path, monkeypatch
):
    pytest.importorskip('deepspeed')
    monkeypatch.setenv('DS_ACCELERATOR', 'cpu')
    path = config(DEEPSPEED, 'deepspeed')
    train(2, path, 'first')
    weights = tmp_path / 'first' / 'iter_10.pth' / 'mp_rank_00_model_states.pt'
    train(2, path, 'second', '--cfg-options', f'load_from={weights}')
    train(1, config('', 'plain'), 'plain', '--cfg-options', f'load_from={weights}')

    train(2, path, 'first', '--resume', status=1)
    log = (tmp_path / 'first.0.log').read_text() + (tmp_path / 'first.1.log').read_text()
    assert 'trainings cannot be resumed; start from its weights: load_from=' in log
    torch.save(dict(state_dict=dict(other=torch.ones(1))), tmp_path / 'foreign.pth')
    train(2, path, 'third', '--cfg-options', f'load_from={tmp_path}/foreign.pth', status=1)
    assert 'does not fit ImageClassifier' in ''.join(
        (tmp_path / f'third.{rank}.log').read_text() for rank in (0, 1)
    )
