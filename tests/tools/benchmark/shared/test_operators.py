import pytest
import torch

from mmdefocus.ops.operator import Shape, operators
from shared.measure import forward_backward
from shared.operators import MATRIX_PRODUCTS, SUBJECTS, candidates

SMALL = Shape(1, 9, 64, 4)


def test_every_operator_is_a_subject():
    assert set(SUBJECTS) == {*operators(), MATRIX_PRODUCTS}


@pytest.mark.parametrize('name', SUBJECTS)
def test_subject_runs_forward_and_backward(name):
    call = SUBJECTS[name].call(SMALL, torch.float32, 'cpu')
    function = next(x for x in candidates(name).values() if not isinstance(x, str))
    seconds = forward_backward(call.of(function), call.inputs, call.gradient)
    assert seconds['both'] == seconds['forward'] + seconds['backward'] > 0


def test_double_is_the_same_call_in_float64():
    call = SUBJECTS['gated_selective_scan'].call(SMALL, torch.bfloat16, 'cpu')
    exact = call.double()
    assert exact.arguments.keys() == call.arguments.keys()
    for x, wide in zip(call.inputs, exact.inputs, strict=True):
        assert wide.dtype == torch.float64 and wide.requires_grad
        torch.testing.assert_close(wide, x.double(), rtol=0, atol=0)
