import pytest
import torch

from mmdefocus.ops import causal_conv1d, decayed_attention, retention, selective_scan
from mmdefocus.ops.export import exportable


@pytest.mark.parametrize('length', [1, 2, 3, 8, 37])
def test_repeated_step_equals_the_recurrence(length):
    torch.manual_seed(0)
    u, delta = torch.randn(2, 6, length), 5 * torch.rand(2, 6, length)
    A, B, C = -4 * torch.rand(6, 4), torch.randn(2, 4, length), torch.randn(2, 4, length)
    inputs = [x.double() for x in (u, delta, A, B, C)]
    with exportable():
        found = selective_scan(*inputs)
    torch.testing.assert_close(found, selective_scan(*inputs, backend='naive'), rtol=0, atol=1e-12)


def test_operators_keep_their_values():
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 2, 3, 9, 4).double()
    log_decay = -torch.rand(3).double()
    x, weight, bias = torch.randn(2, 9, 6), torch.randn(6, 4), torch.randn(6)
    calls = (
        lambda **kwargs: retention(q, k, v, log_decay, **kwargs),
        lambda **kwargs: decayed_attention(q, k, v, log_decay, **kwargs),
        lambda **kwargs: decayed_attention(q, k, v, log_decay, causal=False, **kwargs),
        lambda **kwargs: causal_conv1d(x, weight, bias, **kwargs),
    )
    for call in calls:
        with exportable():
            found = call()
        torch.testing.assert_close(found, call(backend='naive'))


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
