import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress

from shared.trial import peak_memory_alone, try_out

TOOLS = Path(__file__).parents[4] / 'tools' / 'benchmark'

linux = pytest.mark.skipif(sys.platform != 'linux', reason='peak memory is measured on Linux')


@linux
def test_added_peak_memory_counts_what_is_taken_and_not_what_was_freed():
    code = (
        'import torch\n'
        'from shared.trial import added_peak_memory\n'
        'torch.ones(2**22)\n'
        'torch.ones(2**25)\n'
        'print(added_peak_memory(lambda: torch.ones(2**24)))\n'
    )
    command, environment = [sys.executable, '-c', code], os.environ | {'PYTHONPATH': str(TOOLS)}
    environment['PYTHONPATH'] = os.pathsep.join(map(str, (TOOLS, *sys.path)))
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert int(done.stdout) / 2**20 == pytest.approx(64, abs=4)


@pytest.fixture
def script(tmp_path):
    """`script(code)`: the file of a tool."""

    def write(code):
        path = tmp_path / 'script.py'
        path.write_text(code)
        return str(path)

    return write


@linux
def test_peak_memory_alone_is_the_last_line_of_the_tool(script):
    assert peak_memory_alone(script('print("imported")\nprint(12)'), []) == 12


@linux
@pytest.mark.parametrize(
    ('code', 'error', 'message'),
    [
        ('raise MemoryError', MemoryError, 'not enough memory'),
        ('raise SystemExit("error: no such thing")', ChildProcessError, 'error: no such thing'),
        ('import time\ntime.sleep(60)', TimeoutError, 'a repetition takes more than 1 s'),
    ],
)
def test_peak_memory_alone_tells_why_there_is_none(script, code, error, message):
    with pytest.raises(error, match=f'^{message}$'):
        peak_memory_alone(script(code), [], timeout=1)


def test_candidate_that_fails_is_skipped_with_a_word():
    console = Console(file=io.StringIO(), width=200)

    def fail():
        raise RuntimeError('out of registers')

    builds = {'bad': lambda: fail, 'good': lambda: dict}
    progress = Progress(console=console, disable=True)
    trials = try_out(builds, 'cpu', lambda name: 12, 'scan', progress)
    assert [(name, trial.peak) for name, trial in trials.items()] == [('good', 12)]
    assert console.file.getvalue() == 'scan: bad is skipped: out of registers\n'
