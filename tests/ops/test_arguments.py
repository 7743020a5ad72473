import pytest
import torch

from mmdefocus.ops.arguments import check_group_size, check_tensors

DIMENSIONS = {'u': 'BLD', 'A': 'DN', 'D': 'D'}


def tensors(**changes):
    return {'u': torch.ones(2, 3, 4), 'A': torch.ones(4, 5), 'D': torch.ones(4)} | changes


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'u': torch.ones(3, 4)}, 'u: expected (B, L, D), got (3, 4)'),
        ({'u': torch.ones(2, 3, 0)}, 'u: expected (B, L, D) with D >= 1, got (2, 3, 0)'),
        ({'A': torch.ones(5, 4)}, 'A: expected (4, N) for u (2, 3, 4), got (5, 4)'),
        ({'A': torch.ones(4, 0)}, 'A: expected (4, N) for u (2, 3, 4) with N >= 1, got (4, 0)'),
        ({'D': torch.ones(5)}, 'D: expected (4,) for u (2, 3, 4), got (5,)'),
        ({'D': torch.ones(4, device='meta')}, 'D: expected the device of u, cpu, got meta'),
        (
            {'A': torch.ones(4, 5).to(torch.float8_e5m2)},
            'A: expected one of float64, float32, bfloat16, float16, got torch.float8_e5m2',
        ),
    ],
)
def test_what_does_not_fit_is_said_with_what_was_expected(change, message):
    with pytest.raises(ValueError) as error:
        check_tensors(tensors(**change), DIMENSIONS)
    assert str(error.value) == message


def test_batch_and_tokens_may_be_none():
    check_tensors(tensors(u=torch.ones(0, 0, 4)), DIMENSIONS)


@pytest.mark.parametrize('size', [-2, 0, 3, 8])
def test_groups_must_divide_the_channels(size):
    with pytest.raises(ValueError, match=f'^group_size: expected a divisor of D = 4, got {size}$'):
        check_group_size(size, 4)
