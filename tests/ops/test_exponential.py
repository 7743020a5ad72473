"""The exponential of the CPU kernels, through a scan of two tokens: y = exp(A) * 1.

The kernel computes exp(A) as a power of two, so A log2(e) is rounded before: the exact value that
it is compared with is two to the power of the rounded product.
"""

import pytest
import torch

from mmdefocus.ops import available_backends, selective_scan

np = pytest.importorskip('numpy')  # for its wide floats; torch runs without it
pytestmark = pytest.mark.skipif(
    available_backends('cpu')['selective_scan']['cpu'] != 'available', reason='no compiler'
)


def exponential(x: torch.Tensor) -> torch.Tensor:
    """Returns exp(x) as the kernel computes it: the first token sets the state to one.

    Its time step is short, for the decay of the first token, which meets a state of zero, must
    not overflow.
    """
    u = torch.tensor([2.0**20, 0.0], dtype=x.dtype).expand(1, len(x), 2)
    delta = torch.tensor([2.0**-20, 1.0], dtype=x.dtype).expand(1, len(x), 2)
    ones = torch.ones(1, 1, 2, dtype=x.dtype)
    return selective_scan(u, delta, x.unsqueeze(1).contiguous(), ones, ones, backend='cpu')[0, :, 1]


def units_in_the_last_place(actual: torch.Tensor, exact: np.ndarray) -> float:
    dtype = actual.numpy().dtype
    spacing = np.spacing(exact.astype(dtype)).astype(exact.dtype)
    return float(np.max(np.abs(actual.numpy().astype(exact.dtype) - exact) / spacing))


def exact_power(x: torch.Tensor, wide: type) -> np.ndarray:
    log2_e = x.numpy().dtype.type(1 / np.log(np.longdouble(2)))
    return np.exp2((x.numpy() * log2_e).astype(wide))


def test_float32_is_accurate_to_2_ulp_from_denormals_to_overflow():
    x = torch.linspace(-103.9, 88.7, 2_000_003)
    assert units_in_the_last_place(exponential(x), exact_power(x, np.float64)) <= 2


def test_float64_is_accurate_to_2_ulp():
    x = torch.linspace(-745.0, 709.7, 1_000_003, dtype=torch.float64)
    assert units_in_the_last_place(exponential(x), exact_power(x, np.longdouble)) <= 2


def test_small_exponents_are_accurate_beside_the_exponential_itself():
    x = torch.linspace(-1.0, 0.0, 1_000_003)
    exact = np.exp(x.double().numpy())
    np.testing.assert_allclose(exponential(x).double().numpy(), exact, rtol=2.5e-7)


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_limits(dtype):
    x = torch.tensor([0.0, -0.0, -1e4, -float('inf'), 1e4], dtype=dtype)
    expected = torch.tensor([1.0, 1.0, 0.0, 0.0, float('inf')], dtype=dtype)
    assert torch.equal(exponential(x), expected)
    assert exponential(torch.tensor([float('nan')], dtype=dtype)).isnan().all()


def test_denormals_stay_switched_on_in_the_process():
    exponential(torch.tensor([-1.0]))
    smallest = torch.tensor([1e-40])
    assert (smallest * 0.5).item() > 0
