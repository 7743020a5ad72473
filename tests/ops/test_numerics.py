import pytest
import torch

from mmdefocus.ops.numerics import decay, empty_by_token, wide_dtype, without_autocast


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_sums_are_float32_at_least(dtype):
    assert wide_dtype(dtype) == (torch.float64 if dtype == torch.float64 else torch.float32)


def test_memory_goes_token_by_token():
    assert empty_by_token(torch.ones(2, 3, 5)).mT.is_contiguous()
    assert empty_by_token(torch.ones(2, 3, 5, 4)).transpose(1, 2).is_contiguous()
    assert empty_by_token(torch.ones(3, 5)).is_contiguous()


def test_decays_are_zero_before_they_are_denormal_and_let_nan_through():
    rates = torch.tensor([-1.0, -100.0, float('nan')])
    found = decay(rates, torch.ones(3))
    assert found[0] == torch.exp(rates[0]) and found[1] == 0 and found[2].isnan()


def test_autocast_is_off_inside():
    product = without_autocast(lambda x, y: x @ y)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert product(torch.ones(2, 2), y=torch.ones(2, 2)).dtype == torch.float32
