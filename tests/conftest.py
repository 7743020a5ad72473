import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import mmdefocus  # noqa: F401  mmpretrain may need the operators of mmcv that it supplies


def load_exploits():
    path = Path(__file__).parent / 'data' / 'exploits.py'
    spec = importlib.util.spec_from_file_location('exploits', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.EXPLOITS


@pytest.fixture(params=load_exploits(), ids=lambda make: make.__name__)
def exploit(request, tmp_path):
    """A checkpoint that runs code elsewhere: its `path`, and the `marker` that it would write."""
    path, marker = tmp_path / 'exploit.pth', tmp_path / 'marker'
    request.param(path, marker)
    yield SimpleNamespace(path=path, marker=marker)
    assert not marker.exists()


@pytest.fixture(autouse=True)
def _no_default_scope():
    """Clears the default scope of a runner, in which the next test would look for its classes.

    Nothing is imported for it: tests/ops runs where MMEngine is not installed.
    """
    _clear_default_scope()
    yield
    _clear_default_scope()


def _clear_default_scope():
    if 'mmengine.registry' in sys.modules:
        sys.modules['mmengine.registry'].DefaultScope._instance_dict.clear()
