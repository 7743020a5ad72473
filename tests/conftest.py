import sys

import pytest


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
