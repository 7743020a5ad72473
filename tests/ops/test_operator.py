import subprocess
import sys

import pytest
import torch

from mmdefocus.ops import available_backends, selective_scan

INPUTS = (torch.ones(1, 2, 3),) * 2 + (-torch.ones(2, 4),) + (torch.ones(1, 4, 3),) * 2


def test_the_reference_is_available_everywhere():
    for device in ('cpu', 'cuda'):
        assert available_backends(device)['selective_scan']['naive'] == 'available'


def test_an_unknown_backend_is_an_error_that_lists_the_others():
    with pytest.raises(ValueError, match=r"no backend 'fast', choose auto or one of .*naive"):
        selective_scan(*INPUTS, backend='fast')


def test_the_environment_overrides_the_choice(monkeypatch):
    monkeypatch.setenv('MMDEFOCUS_BACKEND', 'naive')
    y = selective_scan(*(x.requires_grad_() for x in map(torch.clone, INPUTS)))
    assert 'Cat' in y.grad_fn.name()


def test_a_misspelt_environment_is_an_error(monkeypatch):
    monkeypatch.setenv('MMDEFOCUS_BACKEND', 'naiv')
    with pytest.raises(ValueError, match=r'^MMDEFOCUS_BACKEND'):
        selective_scan(*INPUTS)


def test_the_package_needs_torch_only():
    """Importing the operators loads nothing of OpenMMLab and builds nothing."""
    code = (
        'import sys, mmdefocus.ops; '
        'sys.exit(any(m.split(".")[0] in ("mmengine", "mmcv", "mmdet", "mmpretrain", "triton") '
        'for m in set(sys.modules) - before))'
    )
    prelude = 'import torch, sys; before = set(sys.modules); '
    assert subprocess.run([sys.executable, '-c', prelude + code]).returncode == 0
