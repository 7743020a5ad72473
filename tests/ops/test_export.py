import sys

import pytest
import torch

from mmdefocus.ops import exportable, retention, selective_scan

pytestmark = pytest.mark.compiler


@pytest.mark.parametrize('length', [1, 2, 3, 8, 37])
def test_repeated_step_equals_the_recurrence(length):
    torch.manual_seed(0)
    u, delta = torch.randn(2, 6, length), 5 * torch.rand(2, 6, length)
    A, B, C = -4 * torch.rand(6, 4), torch.randn(2, 4, length), torch.randn(2, 4, length)
    inputs = [x.double() for x in (u, delta, A, B, C)]
    with exportable():
        found = selective_scan(*inputs)
    torch.testing.assert_close(found, selective_scan(*inputs, backend='naive'), rtol=0, atol=1e-12)


def test_a_torch_without_a_scan_is_told_of(monkeypatch):
    monkeypatch.setitem(sys.modules, 'torch._higher_order_ops.scan', None)  # not to be imported
    sequence, A = torch.ones(1, 2, 3), -torch.ones(2, 3)
    with exportable(), pytest.raises(RuntimeError, match=r'^selective_scan: .* update torch$'):
        selective_scan(sequence, sequence, A, torch.ones(1, 3, 3), torch.ones(1, 3, 3))


@pytest.mark.parametrize('backend', ['auto', 'naive'])
def test_no_operator_is_left_that_cannot_be_exported(backend, monkeypatch):
    monkeypatch.setenv('MMDEFOCUS_BACKEND', backend)
    q = torch.randn(1, 2, 5, 4)

    class Model(torch.nn.Module):
        def forward(self, q):
            return retention(q, q, q, -torch.ones(2))

    with exportable():
        program = torch.export.export(Model(), (q,), strict=False)
    assert not [n for n in program.graph.nodes if 'mmdefocus' in str(n.target)]
