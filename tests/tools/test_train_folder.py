"""What a training does with the checkpoints that are in its folder already."""

import shutil
import subprocess
import sys

import pytest
import torch

from mmdefocus.checkpoints.files import read_checkpoint


def snapshot(folder):
    """Returns the files in a work directory with their content; logs have folders of their own."""
    files = {path for path in folder.iterdir() if path.is_file()} - {folder / 'training.lock'}
    return {path: path.read_bytes() for path in files}


@pytest.fixture
def run(workshop, trained):
    """A work directory with the checkpoint of one epoch, and nothing else."""
    folder = workshop.path / 'run'
    folder.mkdir()
    shutil.copy(trained, folder)
    return folder


TWO_EPOCHS = ('--work-dir', 'run', '--cfg-options', 'train_cfg.max_epochs=2')


def test_starting_anew_over_checkpoints_needs_overwrite(workshop, run):
    before = snapshot(run)
    found = workshop.error('train', workshop.config(), *TWO_EPOCHS)
    assert 'run: holds 1 checkpoints of a training (epoch_1.pth)' in found
    assert '--resume' in found
    assert '--overwrite' in found
    assert snapshot(run) == before


def test_overwrite_deletes_the_checkpoints_of_the_former_training(workshop, run):
    (run / 'epoch_1.pth').rename(run / 'epoch_9.pth')
    workshop.run('train', workshop.config(), *TWO_EPOCHS, '--overwrite')
    assert sorted(path.name for path in run.glob('*.pth')) == ['epoch_1.pth', 'epoch_2.pth']


def test_overwrite_does_not_delete_what_is_loaded(workshop, run):
    options = ('--overwrite', *TWO_EPOCHS, f'load_from={run}/epoch_1.pth')
    found = workshop.error('train', workshop.config(), *options)
    assert found.startswith('--overwrite: deletes the checkpoints of ')
    assert (run / 'epoch_1.pth').exists()


@pytest.mark.parametrize('pointer', [None, '', 'elsewhere/epoch_7.pth'])
def test_resume_goes_on_whatever_last_checkpoint_says(workshop, run, pointer):
    if pointer is not None:
        (run / 'last_checkpoint').write_text(pointer)
    before = (run / 'epoch_1.pth').read_bytes()
    workshop.run('train', workshop.config(), *TWO_EPOCHS, '--resume')
    assert (run / 'epoch_1.pth').read_bytes() == before
    assert (run / 'last_checkpoint').read_text().endswith('epoch_2.pth')


def test_resume_of_damaged_checkpoints_does_not_begin_anew(workshop, run):
    (run / 'epoch_1.pth').write_bytes(b'')
    found = workshop.error('train', workshop.config(), *TWO_EPOCHS, '--resume')
    assert 'none of 1 checkpoints can be resumed' in found
    assert (run / 'epoch_1.pth').read_bytes() == b''


def test_resume_in_the_config_is_the_same(workshop, run):
    before = (run / 'epoch_1.pth').read_bytes()
    workshop.run('train', workshop.config('resume = True'), *TWO_EPOCHS)
    assert (run / 'epoch_1.pth').read_bytes() == before
    assert (run / 'epoch_2.pth').exists()


def test_first_start_with_resume_loads_what_the_config_names(workshop, run):
    options = (*TWO_EPOCHS, 'load_from=run/epoch_1.pth', 'optim_wrapper.optimizer.lr=0.0')
    options = ('--work-dir', 'other', *options[2:])
    workshop.run('train', workshop.config(), '--resume', *options)
    paths = [workshop.path / f'{name}/epoch_1.pth' for name in ('run', 'other')]
    old, new = (read_checkpoint(path)['state_dict'] for path in paths)
    names = [name for name in old if name.endswith('.weight')]
    assert names and all(torch.equal(old[name], new[name]) for name in names)


def test_second_training_in_one_folder_is_refused(workshop):
    command = (
        'import sys, pathlib; from mmdefocus.utils.locks import claimed\n'
        "with claimed(pathlib.Path('run')): print(flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, '-c', command], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as first:
        first.stdout.readline()
        # Refused before the data, which is not there, is looked at.
        shutil.rmtree(workshop.data)
        found = workshop.error('train', workshop.config(), *TWO_EPOCHS)
        first.stdin.close()
    assert f'run: another training runs in this folder (process {first.pid} on ' in found
    assert not list((workshop.path / 'run').glob('*.pth'))


@pytest.mark.parametrize('tool', ['train', 'test'])
@pytest.mark.parametrize('folder', ['s3://bucket/run', 'petrel://run', 'cluster:s3://bucket/run'])
def test_a_folder_on_another_machine_is_refused(workshop, trained, tool, folder):
    checkpoint = (trained,) if tool == 'test' else ()
    options = ('--work-dir', folder)
    found = workshop.error(tool, workshop.config(), *checkpoint, *options)
    assert found.startswith(f"--work-dir: expected a folder of this machine, got '{folder}'")


@pytest.mark.parametrize('resume', [(), ('--resume',)])
@pytest.mark.parametrize('place', ["out_dir='s3://b'", "backend_args=dict(backend='petrel')"])
def test_checkpoints_on_another_machine_are_refused(workshop, place, resume):
    hook = f"default_hooks = dict(checkpoint=dict(type='CheckpointHook', {place}))\n"
    found = workshop.error('train', workshop.config(hook), *TWO_EPOCHS, *resume)
    assert found.startswith('default_hooks.checkpoint: expected a folder of this machine, got ')


def test_resume_of_a_sharded_checkpoint_does_not_begin_anew(workshop, run):
    (run / 'epoch_1.pth').unlink()
    (run / 'epoch_1.pth' / 'piece').mkdir(parents=True)
    found = workshop.error('train', workshop.config(), *TWO_EPOCHS, '--resume')
    assert 'none of 1 checkpoints can be resumed' in found
    assert 'as sharded trainings write them' in found
