"""Released weights, and the converter as a user calls it."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope='session')
def main():
    path = ROOT / 'tools/model_converters/from_official.py'
    spec = importlib.util.spec_from_file_location('from_official', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


@pytest.fixture
def failure(main, capsys):
    """Runs the tool, which must fail, and returns the one line that it says on stderr."""

    def run(*argv: object) -> str:
        with pytest.raises(SystemExit) as exit_info:
            main([str(argument) for argument in argv])
        assert exit_info.value.code == 1
        (line,) = capsys.readouterr().err.splitlines()
        return line

    return run


def golden(name: str, *parts: str) -> dict[str, torch.Tensor]:
    """Weights under their released names, of the given parts of a golden file."""
    with np.load(ROOT / f'tests/data/{name}.npz') as arrays:
        return {
            key.removeprefix('state_dict/').replace('/', '.'): torch.from_numpy(arrays[key])
            for key in arrays.files
            if key.startswith(parts)
        }


@pytest.fixture(scope='session')
def classifier() -> Callable[..., dict[str, torch.Tensor]]:
    """`classifier(name)`: the weights of a released classifier."""
    return lambda name='cls_rope': golden(name, 'state_dict/')


@pytest.fixture(scope='session')
def detector() -> Callable[..., dict[str, torch.Tensor]]:
    """`detector(*parts)`: the weights of parts of a released detector, all by default."""
    return lambda *parts: golden('det_zscan', *(parts or ('backbone/', 'neck/')))
