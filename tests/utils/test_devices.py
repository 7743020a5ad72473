"""The device that a user names."""

import pytest
import torch
from mmengine.device import get_device

from mmdefocus.utils.devices import device_of
from mmdefocus.utils.errors import InputError


@pytest.mark.parametrize('name', ['quux', '', 'cpu:x', 'cuda:99', 'xla', 'hpu', 'meta'])
def test_a_device_that_this_machine_lacks_is_named(name):
    with pytest.raises(InputError, match=f"^device: expected .* such as \\w+, got '{name}'$"):
        device_of(name)


def test_the_default_is_that_of_mmengine():
    assert device_of(None) == torch.device(get_device())


def test_the_processor_serves():
    assert device_of('cpu') == torch.device('cpu')
