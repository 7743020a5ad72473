import os
import shutil
from pathlib import Path

import pytest
from mmengine.hooks import CheckpointHook, Hook

from mmdefocus.checkpoints.files import read_checkpoint
from mmdefocus.engine.hooks.whole_checkpoint_hook import WholeCheckpointHook

BEST = dict(save_best='mean', rule='greater')


class Dies(Exception):
    pass


class DiesWhenSaving(Hook):
    """Raises while the checkpoint of an epoch is put together."""

    def __init__(self, epoch):
        self.epoch = epoch

    def before_save_checkpoint(self, runner, checkpoint):
        if checkpoint['meta']['epoch'] == self.epoch:
            raise Dies


def names(folder):
    return sorted(path.name for path in Path(folder).glob('*.pth'))


def hooks(**settings):
    return dict(
        default_hooks=dict(checkpoint=dict(type='CheckpointHook', max_keep_ckpts=1, **settings))
    )


def validation(**settings):
    loader = dict(
        dataset=dict(type='ToyDataset'),
        batch_size=2,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
    )
    parts = dict(val_dataloader=loader, val_cfg={}, val_evaluator=dict(type='MeanOutput'))
    return {**hooks(**settings), **parts}


def test_takes_the_place_of_mmengines_hook(make_runner):
    for parts in ({}, hooks()):
        kinds = [type(hook) for hook in make_runner(**parts).hooks]
        assert WholeCheckpointHook in kinds
        assert CheckpointHook not in kinds


def test_keeps_as_many_as_it_is_told(make_runner, tmp_path):
    make_runner(**hooks(interval=1)).train()
    assert names(tmp_path) == ['epoch_3.pth']
    assert (tmp_path / 'last_checkpoint').read_text() == str(tmp_path / 'epoch_3.pth')


def test_old_checkpoint_is_there_until_the_new_one_is_whole(make_runner, tmp_path):
    runner = make_runner(**hooks(interval=1), custom_hooks=[DiesWhenSaving(2)])
    with pytest.raises(Dies):
        runner.train()
    assert names(tmp_path) == ['epoch_1.pth']


def test_old_best_is_there_until_the_new_one_is_whole(make_runner, tmp_path, monkeypatch):
    runner = make_runner(**validation(interval=1, **BEST))
    at_saving = []
    save = runner.save_checkpoint

    def watch(out_dir, filename, *args, **kwargs):
        at_saving.append((filename, names(tmp_path)))
        save(out_dir, filename, *args, **kwargs)

    monkeypatch.setattr(runner, 'save_checkpoint', watch)
    means = iter([1.0, 2.0, 3.0])
    monkeypatch.setattr(runner.val_loop.evaluator, 'evaluate', lambda size: {'mean': next(means)})
    runner.train()
    files = dict(at_saving)
    assert 'best_mean_epoch_1.pth' in files['best_mean_epoch_2.pth']
    assert names(tmp_path) == ['best_mean_epoch_3.pth', 'epoch_3.pth']


def test_resumed_training_deletes_what_a_kill_has_left(make_runner, tmp_path):
    make_runner(**hooks(interval=1), train_cfg=dict(by_epoch=True, max_epochs=1)).train()
    shutil.copy(tmp_path / 'epoch_1.pth', tmp_path / 'kept')
    make_runner(
        **hooks(interval=1),
        train_cfg=dict(by_epoch=True, max_epochs=2),
        resume=True,
        load_from=str(tmp_path / 'epoch_1.pth'),
    ).train()
    os.rename(tmp_path / 'kept', tmp_path / 'epoch_1.pth')  # killed before it was deleted
    make_runner(**hooks(interval=1), resume=True, load_from=str(tmp_path / 'epoch_2.pth')).train()
    assert names(tmp_path) == ['epoch_3.pth']


def test_training_in_a_copied_folder_leaves_the_first_alone(make_runner, tmp_path):
    one, other = tmp_path / 'one', tmp_path / 'other'
    settings = validation(interval=1, **BEST)
    make_runner(one, **settings, train_cfg=dict(by_epoch=True, max_epochs=1)).train()
    shutil.copytree(one, other)
    before = names(one)
    runner = make_runner(other, **settings, resume=True, load_from=str(other / 'epoch_1.pth'))
    runner.train()
    assert names(one) == before
    assert 'epoch_3.pth' in names(other)


def test_interim_best_and_last_checkpoints_say_when_they_were_saved(make_runner, tmp_path):
    make_runner(**validation(interval=1, **BEST)).train()
    assert len(names(tmp_path)) == 2
    for name in names(tmp_path):
        assert read_checkpoint(tmp_path / name)['meta']['saved_at'] > 1e9
