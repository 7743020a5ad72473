import os
import signal
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
            {'--nproc_per_node=2', '--master_port=29511', '--max-restarts=3'},
            ['train.py', 'a.py', '--launcher', 'pytorch', '--resume', '--amp'],
        ),
        (
            'dist_train.sh',
            ['a.py', '2', '--overwrite'],
            'torchrun',
            {'--max-restarts=3'},
            ['train.py', 'a.py', '--launcher', 'pytorch', '--overwrite'],
        ),
        (
            'dist_test.sh',
            ['a.py', 'b.pth', '2', '--out', 'c d.json'],
            'torchrun',
            {'--nproc_per_node=2', '--nnodes=1', '--max-restarts=0'},
            ['test.py', 'a.py', 'b.pth', '--launcher', 'pytorch', '--out', 'c d.json'],
        ),
        (
            'slurm_train.sh',
            ['part', 'job', 'a.py', 'dir', '--resume'],
            'srun',
            {'--ntasks=4', '--job-name=job', 'part', '--signal=USR1@180'},
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


def start(folder, script):
    """Starts dist.sh with a stand-in for torchrun; returns the process when the stand-in runs."""
    torchrun = folder / 'torchrun'
    torchrun.write_text(f'#!/bin/bash\n{script}\n')
    torchrun.chmod(0o755)
    environment = dict(os.environ, PATH=f'{folder}:{os.environ["PATH"]}')
    command = ['bash', TOOLS / 'dist.sh', '2', 'train.py']
    process = subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        # A job in the background ignores SIGINT, and what it starts cannot trap it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout.readline() == 'started\n'
    return process


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_a_signal_reaches_torchrun_and_the_status_is_75(tmp_path, number):
    script = 'trap "echo stopping; exit 1" TERM\necho started\nwhile :; do sleep 0.05; done'
    process = start(tmp_path, script)
    process.send_signal(number)
    assert process.communicate(timeout=20)[0] == 'stopping\n'
    assert process.returncode == 75


def test_the_status_of_torchrun_is_that_of_the_launcher(tmp_path):
    process = start(tmp_path, 'echo started\nexit 3')
    assert process.wait(timeout=20) == 3


def test_a_stopped_job_of_slurm_is_queued_again(tmp_path):
    for name, script in (('srun', 'exit $STATUS'), ('scontrol', 'echo scontrol "$@"')):
        (tmp_path / name).write_text(f'#!/bin/bash\n{script}\n')
        (tmp_path / name).chmod(0o755)
    for status, said in (('75', 'scontrol requeue 7\n'), ('1', ''), ('0', '')):
        environment = dict(
            os.environ,
            PATH=f'{tmp_path}:{os.environ["PATH"]}',
            SLURM_SUBMIT_DIR=str(TOOLS.parent),
            SLURM_JOB_ID='7',
            STATUS=status,
        )
        command = ['bash', TOOLS / 'sbatch_train.sh', 'a.py', 'dir']
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (int(status), said)
