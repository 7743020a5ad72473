import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config

from mmdefocus.engine.resuming.newest import (
    check_unused,
    checkpoint_folders,
    delete_checkpoints,
    newest_checkpoint,
    saved_checkpoints,
)
from mmdefocus.utils.errors import InputError


def save(folder, name, saved_at, weight=1.0, **parts):
    content = dict(
        meta=dict(saved_at=float(saved_at)),
        message_hub={},
        optimizer={'state': {}},
        state_dict={'weight': torch.full((100,), weight)},
    )
    torch.save({**content, **parts}, folder / name)


@pytest.fixture
def run(tmp_path):
    """A folder of three epochs; the third is the newest."""
    folder = tmp_path / 'run'
    folder.mkdir()
    for epoch in (3, 1, 2):
        save(folder, f'epoch_{epoch}.pth', epoch)
    return SimpleNamespace(
        folder=folder,
        newest=lambda: newest_checkpoint([folder]),
        path=lambda epoch: str(folder / f'epoch_{epoch}.pth'),
    )


def cut(path):
    os.truncate(path, os.path.getsize(path) // 2)


@pytest.mark.parametrize('text', [None, '', 'elsewhere/epoch_9.pth', '\0'])
def test_newest_is_found_whatever_last_checkpoint_says(run, text):
    if text is not None:
        (run.folder / 'last_checkpoint').write_text(text)
    assert run.newest() == run.path(3)


def test_newest_of_a_copied_folder_is_the_same(run, tmp_path):
    copy = tmp_path / 'copy'
    copy.mkdir()
    for epoch in (3, 2, 1):  # of which the last is the newest file
        shutil.copyfile(run.path(epoch), copy / f'epoch_{epoch}.pth')
        os.utime(copy / f'epoch_{epoch}.pth', (100 - epoch, 100 - epoch))
    assert newest_checkpoint([copy]) == str(copy / 'epoch_3.pth')


@pytest.mark.parametrize('damage', [cut, lambda path: os.truncate(path, 0)])
def test_cut_file_is_skipped_with_a_word(run, capfd, damage):
    damage(run.path(3))
    assert run.newest() == run.path(2)
    assert capfd.readouterr().err.startswith(f'skipped: checkpoint {run.path(3)} (')


def test_changed_numbers_are_skipped(run):
    path = Path(run.path(3))
    content = bytearray(path.read_bytes())
    start = content.index(torch.ones(100).numpy().tobytes())
    content[start] ^= 1
    path.write_bytes(content)
    assert run.newest() == run.path(2)


def test_weights_that_are_not_finite_are_skipped(run):
    save(run.folder, 'epoch_4.pth', 4, weight=float('nan'))
    assert run.newest() == run.path(3)


def test_best_and_published_weights_are_not_resumed(run):
    best = torch.load(run.path(3))
    del best['optimizer']
    torch.save(best, run.folder / 'best_top1_epoch_4.pth')
    torch.save({'meta': {}, 'state_dict': best['state_dict']}, run.folder / 'inference.pth')
    assert run.newest() == run.path(3)


def test_folder_without_a_whole_checkpoint_is_an_error_not_a_new_start(run):
    for epoch in (1, 2, 3):
        cut(run.path(epoch))
    with pytest.raises(InputError, match=r'none of 3 checkpoints can be resumed .*--overwrite'):
        run.newest()


def test_empty_folder_has_no_newest(tmp_path):
    assert newest_checkpoint([tmp_path, tmp_path / 'missing']) is None
    check_unused([tmp_path])


def test_used_folder_is_refused_with_the_ways_out(run):
    with pytest.raises(InputError, match=r'holds 3 checkpoints .*--resume.*--overwrite'):
        check_unused([run.folder])


def test_only_what_trainings_write_is_deleted(run):
    torch.save({'weight': torch.ones(1)}, run.folder / 'pretrained.pth')
    (run.folder / 'last_checkpoint').write_text('x')
    cut(run.path(2))
    (run.folder / 'epoch_5.pth' / 'shard').mkdir(parents=True)
    delete_checkpoints([run.folder])
    assert [path.name for path in run.folder.iterdir()] == ['pretrained.pth']


def test_folder_that_the_checkpoint_hook_names_is_looked_at_too(run, tmp_path):
    cfg = Config(dict(default_hooks=dict(checkpoint=dict(out_dir=str(tmp_path)))))
    folders = checkpoint_folders(cfg, 'somewhere/run')
    assert len(saved_checkpoints(folders)) == 3


def test_file_that_vanishes_meanwhile_is_no_checkpoint(run):
    (run.folder / 'epoch_9.pth').symlink_to(run.folder / 'deleted')
    assert run.newest() == run.path(3)
