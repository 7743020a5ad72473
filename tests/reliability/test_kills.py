"""A short form of `kills.py`; docs/reliability.md has the long one."""

import os
import subprocess
import sys
from pathlib import Path

KILLS = Path(__file__).with_name('kills.py')


def test_killed_trainings_end_with_the_weights_of_an_unbroken_one():
    command = [sys.executable, KILLS, '--kills', '3', '--ways', 'accumulation', '2 processes']
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': ''}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    table = [line for line in done.stdout.splitlines() if line.startswith('|')]
    rows = [[cell.strip() for cell in line.split('|')[1:-1]] for line in table]
    assert [row[0] for row in rows[2:]] == ['accumulation', '2 processes']
    assert sum(int(row[1]) for row in rows[2:]) == 3
    assert {row[3] for row in rows[2:]} == {'0'}
