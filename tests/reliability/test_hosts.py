"""Two hosts, played by two network namespaces with a cable between them."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from trainings import make_images

from mmdefocus.checkpoints.files import read_checkpoint

HERE = Path(__file__).parent
TRAIN = HERE.parents[1] / 'tools' / 'train.py'
HOSTS = {'mmdefocus0': '10.213.7.1', 'mmdefocus1': '10.213.7.2'}


def ip(*words):
    """Runs iproute2; skips the test where the machine forbids it."""
    try:
        subprocess.run(['ip', *words], check=True, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip('iproute2 is not installed: two hosts cannot be played')
    except subprocess.CalledProcessError as error:
        pytest.skip(f'this machine forbids network namespaces: {error.stderr.strip()}')


@pytest.fixture
def hosts():
    """Two namespaces with one interface each."""
    try:
        for host in HOSTS:
            ip('netns', 'add', host)
        first, second = HOSTS
        ip('link', 'add', 'cable', 'netns', first, 'type', 'veth', 'peer', 'cable', 'netns', second)
        for host, address in HOSTS.items():
            ip('-n', host, 'addr', 'add', f'{address}/24', 'dev', 'cable')
            ip('-n', host, 'link', 'set', 'cable', 'up')
            ip('-n', host, 'link', 'set', 'lo', 'up')
        yield list(HOSTS)
    finally:
        for host in HOSTS:
            with contextlib.suppress(FileNotFoundError):
                subprocess.run(['ip', 'netns', 'delete', host], capture_output=True, check=False)


@pytest.fixture
def config(tmp_path):
    """A training of thirty steps on two processes."""
    make_images(tmp_path / 'data')
    path = tmp_path / 'hosts.py'
    path.write_text(
        f"_base_ = '{HERE / 'tiny_training.py'}'\n"
        f"train_dataloader = dict(dataset=dict(data_root='{tmp_path / 'data'}'))\n"
        'env_cfg = dict(dist_cfg=dict(timeout=30))\ntrain_cfg = dict(max_epochs=15)\n'
    )
    return path


def start(hosts, config, work_dir, *options):
    """Starts torchrun on each host; returns the processes, which lead groups of their own."""
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'GLOO_SOCKET_IFNAME': 'cable'}
    started = []
    for rank, host in enumerate(hosts):
        command = ['ip', 'netns', 'exec', host, sys.executable, '-m', 'torch.distributed.run']
        command += ['--nnodes=2', '--nproc_per_node=1', f'--node_rank={rank}']
        command += [f'--master_addr={HOSTS[hosts[0]]}', '--master_port=29500', TRAIN, config]
        command += ['--work-dir', work_dir, '--launcher', 'pytorch', '--resume', *options]
        with work_dir.with_name(f'{work_dir.name}{rank}.log').open('a') as log:
            started.append(
                subprocess.Popen(
                    list(map(str, command)),
                    env=environment,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )
    return started


def kill(process):
    """Kills torchrun and the training that it has started, whose session is another one."""
    children = subprocess.run(
        ['ps', '-o', 'pid=', '--ppid', str(process.pid)],
        capture_output=True,
        text=True,
        check=False,
    )
    for pid in [process.pid, *map(int, children.stdout.split())]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def test_a_host_that_is_killed_changes_nothing_at_the_end(hosts, config, tmp_path):
    whole, parts = tmp_path / 'whole', tmp_path / 'parts'
    for process in start(hosts, config, whole):
        assert process.wait(timeout=120) == 0, (tmp_path / 'whole0.log').read_text()[-2000:]

    first, second = start(hosts, config, parts)
    try:
        end = time.monotonic() + 100
        while not (parts / 'iter_3.pth').exists() and time.monotonic() < end:
            time.sleep(0.01)
        kill(second)
        assert first.wait(timeout=100) != 0  # the other host misses it
    finally:
        kill(first)
        kill(second)
    for process in start(hosts, config, parts):
        assert process.wait(timeout=120) == 0, (tmp_path / 'parts0.log').read_text()[-2000:]

    expected, found = (
        read_checkpoint(str(folder / 'iter_30.pth'))['state_dict'] for folder in (whole, parts)
    )
    assert all(torch.equal(expected[name], found[name]) for name in expected)
