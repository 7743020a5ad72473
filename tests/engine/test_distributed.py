"""What processes do that fail together."""

import os
import socket
import subprocess
import sys

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


def fail_together(delay):
    """Lets two processes fail, the second later by so many seconds; returns what each says."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        address = {'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': str(free.getsockname()[1])}
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
