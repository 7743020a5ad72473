import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mmdefocus.ops import retention, rms_norm
from mmdefocus.ops.eager import needs_dispatcher

from .shared import make_heads

NAME = 'mmdefocus::retention_parallel'


class Seen(TorchDispatchMode):
    """Notes the operators that are called."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.names.append(function.name())
        return function(*args, **(kwargs or {}))


def run(inputs, dy=None):
    """Returns the output and the gradients."""
    leaves = [x.detach().requires_grad_() for x in inputs]
    y = retention(*leaves, backend='parallel')
    dy = torch.ones_like(y) if dy is None else dy
    return y.detach(), *torch.autograd.grad(y, leaves, dy)


def test_a_plain_call_is_not_dispatched():
    inputs = make_heads()
    assert not needs_dispatcher(inputs)
    assert not needs_dispatcher((torch.nn.Parameter(inputs[0]), 3, None, True))
    with torch.inference_mode():
        assert not needs_dispatcher((torch.ones(3), *inputs))


def test_a_mode_sees_the_operator_and_its_gradient():
    with Seen() as seen:
        found = run(make_heads())
    assert NAME in seen.names and f'{NAME}_backward' in seen.names
    torch.testing.assert_close(found, run(make_heads()), rtol=0, atol=0)


def test_a_mode_that_begins_with_the_backward_sees_the_gradient():
    leaves = [x.requires_grad_() for x in make_heads()]
    y = retention(*leaves, backend='parallel')
    with Seen() as seen:
        y.sum().backward()
    assert f'{NAME}_backward' in seen.names


@pytest.mark.parametrize('place', range(4))
def test_tensors_that_are_negated_when_they_are_read_count_as_they_read(place):
    inputs = list(make_heads())
    expected = run(inputs)
    inputs[place] = torch._neg_view(-inputs[place])
    assert needs_dispatcher(inputs)
    torch.testing.assert_close(run(inputs), expected, rtol=0, atol=0)


def test_so_do_gradients_of_the_output():
    inputs = make_heads()
    expected = run(inputs)
    dy = torch._neg_view(-torch.ones_like(expected[0]))
    torch.testing.assert_close(run(inputs, dy), expected, rtol=0, atol=0)


def test_lazy_zeros_are_zeros():
    inputs = make_heads()
    zero = torch._efficientzerotensor(inputs[2].shape, dtype=inputs[2].dtype)
    assert needs_dispatcher((*inputs[:2], zero, inputs[3]))
    assert not retention(*inputs[:2], zero, inputs[3], backend='parallel').any()


def test_tensors_without_memory_are_dispatched():
    assert needs_dispatcher((torch.ones(3, device='meta'),))
    with torch._subclasses.FakeTensorMode():
        fake = torch.ones(3)
    assert needs_dispatcher((torch.ones(3), fake))


def test_its_node_has_the_name_of_the_operator():
    q, *others = make_heads()
    y = retention(q.requires_grad_(), *others, backend='parallel')
    assert 'retention_parallel' in y.grad_fn.name()


def test_without_gradients_there_is_no_node():
    with torch.no_grad():
        y = retention(*(x.requires_grad_() for x in make_heads()), backend='parallel')
    assert y.grad_fn is None and not y.requires_grad


def test_numbers_are_converted_as_the_dispatcher_does():
    x, weight = torch.randn(1, 3, 64), torch.ones(64)
    torch.testing.assert_close(rms_norm(x, weight, 1), rms_norm(x, weight, 1.0), rtol=0, atol=0)
