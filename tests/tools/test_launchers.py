import os
import subprocess
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / 'tools'


def launch(folder, name, *arguments):
    """Runs a launcher with stand-ins for torchrun and srun; returns what they were called with."""
    for launcher in ('torchrun', 'srun'):
        stand_in = folder / launcher
        stand_in.write_text('#!/bin/sh\nprintf "%s\\n" "$(basename "$0")" "$@"\n')
        stand_in.chmod(0o755)
    environment = dict(os.environ, PATH=f'{folder}:{os.environ["PATH"]}', PORT='29511', GPUS='4')
    command = ['bash', TOOLS / name, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.splitlines()


@pytest.mark.parametrize(
    ('name', 'arguments', 'launcher', 'options', 'tail'),
    [
        (
            'dist_train.sh',
            ['a.py', '2', '--amp'],
            'torchrun',
            {'--nproc_per_node=2', '--master_port=29511'},
            ['train.py', 'a.py', '--launcher', 'pytorch', '--amp'],
        ),
        (
            'dist_test.sh',
            ['a.py', 'b.pth', '2', '--out', 'c d.json'],
            'torchrun',
            {'--nproc_per_node=2', '--nnodes=1'},
            ['test.py', 'a.py', 'b.pth', '--launcher', 'pytorch', '--out', 'c d.json'],
        ),
        (
            'slurm_train.sh',
            ['part', 'job', 'a.py', 'dir', '--resume'],
            'srun',
            {'--ntasks=4', '--job-name=job', 'part'},
            ['train.py', 'a.py', '--work-dir', 'dir', '--launcher', 'slurm', '--resume'],
        ),
        (
            'slurm_test.sh',
            ['part', 'job', 'a.py', 'b.pth'],
            'srun',
            {'--ntasks=4', '--job-name=job', 'part'},
            ['test.py', 'a.py', 'b.pth', '--launcher', 'slurm'],
        ),
    ],
)
def test_launcher_starts_the_tool_with_its_arguments(
    tmp_path, name, arguments, launcher, options, tail
):
    status, words = launch(tmp_path, name, *arguments)
    assert status == 0
    assert words[0] == launcher
    assert options <= set(words)
    tail = [str(TOOLS / tail[0]), *tail[1:]]
    assert words[-len(tail) :] == tail


@pytest.mark.parametrize(
    'name', ['dist_train.sh', 'dist_test.sh', 'slurm_train.sh', 'slurm_test.sh']
)
def test_launcher_without_arguments_fails(tmp_path, name):
    status, words = launch(tmp_path, name)
    assert status != 0
    assert not words
