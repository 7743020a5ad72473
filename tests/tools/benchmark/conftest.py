"""Benchmark tools called in this process, at the smallest sizes."""

import csv
import importlib.util
import io
from contextlib import redirect_stdout
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

TOOLS = Path(__file__).parents[3] / 'tools' / 'benchmark'


def load(tool):
    spec = importlib.util.spec_from_file_location(f'benchmark_{tool}', TOOLS / f'{tool}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='session')
def measure():
    """`measure(tool, out, *arguments)` runs a tool; returns what it prints, rows and the folder."""

    def run(tool, out, *arguments):
        threads = torch.get_num_threads()
        printed = io.StringIO()
        with redirect_stdout(printed):
            load(tool).main([*arguments, '--threads', '1', '--out', str(out)])
        torch.set_num_threads(threads)
        with (out / f'{tool}.csv').open() as file:
            rows = list(csv.DictReader(file))
        return SimpleNamespace(printed=printed.getvalue(), rows=rows, out=out)

    return run
