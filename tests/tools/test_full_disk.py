"""A training on a disk that fills: a file system in memory, which this machine may forbid."""

import contextlib
import subprocess

import pytest
import torch

from mmdefocus.checkpoints.files import read_checkpoint

SMALL, LARGE = '400k', '8m'


def mount(*words):
    """Mounts something; skips the test where the machine forbids it."""
    try:
        subprocess.run(['mount', *words], check=True, capture_output=True, text=True)
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        pytest.skip(f'this machine forbids to mount: {getattr(error, "stderr", error)}')


@pytest.fixture
def disk(tmp_path):
    """A folder on a small disk, and how to make that disk larger."""
    folder = tmp_path / 'disk'
    folder.mkdir()
    mount('-t', 'tmpfs', '-o', f'size={SMALL}', 'tmpfs', str(folder))
    yield folder, lambda: mount('-o', f'remount,size={LARGE}', str(folder))
    with contextlib.suppress(FileNotFoundError):
        subprocess.run(['umount', '--lazy', folder], check=False)


def train(workshop, folder, *options):
    workshop.run('train', workshop.config(), '--work-dir', folder, *options)


def test_a_full_disk_leaves_whole_checkpoints_from_which_the_training_goes_on(workshop, disk):
    folder, enlarge = disk
    train(workshop, 'unbroken')
    found = workshop.error('train', workshop.config(), '--work-dir', folder / 'run')
    assert 'No space left' in found or 'the disk is full' in found
    left = sorted((folder / 'run').glob('*.pth'))
    assert left and all(read_checkpoint(path) for path in left)
    assert not list((folder / 'run').glob('.*'))

    enlarge()
    train(workshop, folder / 'run', '--resume')
    expected, found = (
        read_checkpoint(path / 'epoch_4.pth')['state_dict']
        for path in (workshop.path / 'unbroken', folder / 'run')
    )
    assert all(torch.equal(expected[name], found[name]) for name in expected)
