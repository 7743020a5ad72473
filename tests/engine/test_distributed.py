"""What processes do that fail together, or end."""

import os
import socket
import subprocess
import sys

import pytest

ENDING = """
import os, sys
from mmengine.config import Config
from mmdefocus.engine.command import command
from mmdefocus.engine.distributed import join_processes
from torch import distributed

class Runner:
    def __init__(self):
        join_processes(Config(dict(launcher='pytorch')))
        self.groups = [distributed.group.WORLD, distributed.new_group(backend='gloo')]
        self.hook = self

@command()
def main(args):
    runner = Runner()
    if sys.argv[1] == 'stopped':
        raise SystemExit(75)

def threads():
    return len(os.listdir('/proc/self/task'))

before = threads()
try:
    main([])
finally:
    print(before, threads())
"""
SCRIPT = """
import os, sys, time
from mmengine.config import Config
from mmdefocus.engine.distributed import join_processes, one_message
from mmdefocus.utils.errors import one_line_errors
from torch import distributed

cfg = Config(dict(launcher='pytorch', env_cfg=dict(dist_cfg=dict(timeout=60))))
with one_line_errors():
    join_processes(cfg)
    with one_message(cfg):
        distributed.barrier()
        time.sleep(float(sys.argv[1]) * distributed.get_rank())
        raise ValueError('wrong')
"""


def free_address():
    """Returns the variables that tell processes where to meet."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        return {'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': str(free.getsockname()[1])}


def fail_together(delay):
    """Lets two processes fail, the second later by so many seconds; returns what each says."""
    address = free_address()
    started = [
        subprocess.Popen(
            [sys.executable, '-c', SCRIPT, str(delay)],
            env=os.environ | address | {'RANK': rank, 'LOCAL_RANK': rank, 'WORLD_SIZE': '2'},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in '01'
    ]
    return [process.communicate(timeout=60)[1] for process in started]


def test_the_first_process_speaks_even_if_the_second_fails_later():
    first, second = fail_together(delay=3.0)
    assert first.count('ValueError: wrong') == 1
    assert 'wrong' not in second


@pytest.mark.skipif(not os.path.isdir('/proc/self/task'), reason='only Linux lists threads')
@pytest.mark.parametrize(('end', 'status'), [('done', 0), ('stopped', 75)])
def test_no_thread_of_a_process_group_meets_the_end_of_the_interpreter(end, status):
    variables = free_address() | {'RANK': '0', 'LOCAL_RANK': '0', 'WORLD_SIZE': '1'}
    ended = subprocess.run(
        [sys.executable, '-c', ENDING, end],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ended.returncode == status, ended.stderr
    before, after = map(int, ended.stdout.splitlines()[-1].split())
    assert after == before
