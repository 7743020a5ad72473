import pytest
from mmengine.registry import DefaultScope

import mmdefocus  # noqa: F401  mmpretrain may need the operators of mmcv that it supplies


@pytest.fixture(autouse=True)
def _no_default_scope():
    """A runner leaves its scope behind, in which the next test would look for its classes."""
    DefaultScope._instance_dict.clear()
    yield
    DefaultScope._instance_dict.clear()
