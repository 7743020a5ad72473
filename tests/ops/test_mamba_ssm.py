"""The wiring of mamba_ssm's CUDA scan, with a stand-in for its compiled module."""

import importlib
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import torch

from mmdefocus.ops import selective_scan

backend = importlib.import_module('mmdefocus.ops.selective_scan.mamba_ssm')


def reference(u, delta, A, B, C):
    return selective_scan(u, delta, A, B.squeeze(1), C.squeeze(1), backend='naive')


def forward(u, delta, A, B, C, *options):
    assert options == (None, None, None, False)
    assert u.is_contiguous() and delta.is_contiguous() and A.dtype == torch.float32
    kept = A.new_zeros(*u.shape[:2], -(-u.shape[2] // 2048), 2 * A.shape[1])
    return reference(u, delta, A, B, C), kept


def backward(u, delta, A, B, C, D, z, bias, dy, kept, out, dz, softplus, recompute):
    assert not any((D, z, bias, out, dz, softplus, recompute))

    def gradients():
        leaves = [x.detach().requires_grad_() for x in (u, delta, A, B, C)]
        return torch.autograd.grad(reference(*leaves), leaves, dy)

    with ThreadPoolExecutor(1) as thread:  # inside an operator, autograd is off in this one
        return *thread.submit(gradients).result(), None, None


@pytest.fixture
def module(monkeypatch):
    stand_in = SimpleNamespace(fwd=forward, bwd=backward)
    monkeypatch.setattr(backend, '_module', lambda: stand_in)


def make_inputs(dtype=torch.float32):
    torch.manual_seed(0)
    u, delta = torch.randn(2, 9, 5).mT, torch.rand(2, 9, 5).mT
    B, C = torch.randn(2, 9, 3).mT, torch.randn(2, 9, 3).mT
    return [x.to(dtype).requires_grad_() for x in (u, delta, -torch.rand(5, 3), B, C)]


def test_values_and_gradients_come_through(module):
    inputs = make_inputs()
    y = backend.mamba_ssm_selective_scan(*inputs)
    expected = selective_scan(*inputs, backend='naive')
    torch.testing.assert_close(y, expected)
    grads = torch.autograd.grad(y.square().sum(), inputs)
    expected_grads = torch.autograd.grad(expected.square().sum(), inputs)
    torch.testing.assert_close(grads, expected_grads)


def test_float64_is_a_clear_error(module):
    with pytest.raises(ValueError, match=r'^u: .*no float64'):
        backend.mamba_ssm_selective_scan(*make_inputs(torch.float64))


def test_a_library_of_another_torch_is_told_in_one_line(tmp_path, monkeypatch):
    message = 'undefined symbol: _ZN3c10\\nsecond line'
    (tmp_path / 'selective_scan_cuda.py').write_text(f"raise ImportError('{message}')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    backend._module.cache_clear()
    reason = backend.why_not(torch.device('cuda'))
    backend._module.cache_clear()
    assert reason == 'selective_scan_cuda does not import: undefined symbol: _ZN3c10'
