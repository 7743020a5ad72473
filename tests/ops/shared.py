"""Sizes, accuracies and inputs that the tests of several operators share."""

from collections.abc import Callable
from typing import ClassVar

import pytest
import torch
from torch import Tensor

TOLERANCES = {torch.float32: 2e-6, torch.float16: 2e-3, torch.bfloat16: 1.5e-2}
HEADS = ('q', 'k', 'v', 'log_decay')

each_narrow_dtype = pytest.mark.parametrize(('dtype', 'tolerance'), TOLERANCES.items())
sizes_of_heads = pytest.mark.parametrize(
    'sizes',
    [
        {'length': 1},
        {'length': 2},
        {'length': 127},
        {'length': 128},
        {'length': 129},
        {'length': 70, 'batch': 1, 'heads': 1},
        {'length': 301},
        {'batch': 1, 'heads': 1},
        {'width': 1, 'value_width': 1},
        {'width': 32, 'value_width': 64, 'length': 150},
    ],
    ids=str,
)


class AccuracyTests:
    """What is asked of every operator along a sequence; a module adds its inputs and options."""

    make_inputs: Callable[..., tuple[Tensor, ...]]
    options: ClassVar[dict[str, object]] = {}

    @each_narrow_dtype
    def test_each_dtype_keeps_its_accuracy(self, backend, dtype, tolerance, long, equals_naive):
        """The error stays near the rounding of inputs and outputs: what is summed is float32."""
        inputs = self.make_inputs(length=long, dtype=dtype)
        equals_naive(inputs, backend, tolerance, 2 * tolerance, **self.options)


extreme_decays = pytest.mark.parametrize('rate', [-100.0, -1e-6, 0.0])


def make_heads(
    batch: int = 2,
    heads: int = 3,
    length: int = 23,
    width: int = 6,
    value_width: int = 5,
    dtype: torch.dtype = torch.float64,
) -> tuple[Tensor, ...]:
    """Returns q, k, v, log_decay, the first three in the layout of a mixer, `(B, L, H, K)`."""
    generator = torch.Generator().manual_seed(0)

    def normal(size: int) -> Tensor:
        shape = (batch, length, heads, size)
        return torch.randn(shape, generator=generator, dtype=torch.float64).transpose(1, 2)

    tensors = (normal(width), normal(width), normal(value_width), -torch.logspace(-3, 0, heads))
    return tuple(x.to(dtype) for x in tensors)


def of_each_token(log_decay: Tensor, batch: int, length: int) -> Tensor:
    """Returns decays `(B, H, L)` about those of the heads, some 0 and some forgetting all."""
    generator = torch.Generator().manual_seed(2)
    shape = (batch, len(log_decay), length)
    factors = 2 * torch.rand(shape, generator=generator, dtype=torch.float64)
    factors[..., 3::7] = 0
    factors[..., 5::11] = 1e5
    decays = (log_decay[:, None] * factors).to(log_decay.dtype)
    decays[:, ::2, 8::23] = -float('inf')
    return decays


def check_decay(
    run: Callable[..., tuple[Tensor, list[Tensor]]],
    relative_error: Callable[[Tensor, Tensor], float],
    inputs: tuple[Tensor, ...],
    backend: str,
    rate: float,
) -> None:
    """Compares values and gradients under one decay with those of the naive backend in float64.

    Args:
        run: `run_with_gradients` of the operator.
        relative_error: See there.
        inputs: q, k, v and log_decay, whose value is replaced.
        backend: The one to check.
        rate: The logarithm of the decay, of all heads.
    """
    inputs = (*inputs[:3], torch.full_like(inputs[3], rate))
    expected, expected_grads = run([x.double() for x in inputs], 'naive')
    y, grads = run(inputs, backend)
    tolerance = 1e-12 if inputs[0].dtype == torch.float64 else 2e-6
    assert relative_error(y, expected) < tolerance
    for grad, expected_grad in zip(grads[:3], expected_grads[:3], strict=True):
        assert relative_error(grad, expected_grad) < tolerance
    if rate == -100:  # the gradient of the decay is below eps², which counts as 0
        assert grads[3].abs().max() < 1e-30
    else:
        assert relative_error(grads[3], expected_grads[3]) < 10 * tolerance


def heads_with_nan(name: str) -> dict[str, Tensor]:
    """Returns inputs of 140 tokens by name, of which one is NaN at token 130 of the second head."""
    inputs = dict(zip(HEADS, make_heads(batch=1, length=140), strict=True))
    inputs[name] = inputs[name].clone()
    inputs[name][(1,) if name == 'log_decay' else (0, 1, 130)] = float('nan')
    return inputs


def check_nan(y: Tensor, name: str, seen: slice) -> None:
    """Checks that NaN of `heads_with_nan(name)` is where it is seen, and nowhere else.

    Args:
        y: Output, `(1, 3, 140, V)`.
        name: The input that is NaN.
        seen: Tokens of the second head whose output is NaN.
    """
    assert y[0, 1, seen].isnan().all()
    assert y[0, [0, 2]].isfinite().all()
    if name in ('q', 'k'):
        assert y[0, 1, :130].isfinite().all()


def check_earlier_tokens(
    differentiate: Callable[..., tuple[Tensor, tuple[Tensor, ...]]],
    operator: Callable[..., Tensor],
    name: str,
    bad: float,
) -> None:
    """Checks that a number that is not finite changes nothing of the tokens before it.

    There are 70 tokens, which are two blocks of the kernels in Triton, the second with the number.

    Args:
        differentiate: See there.
        operator: A function of q, k, v and log_decay.
        name: The input that gets the number at token 67 of the second head.
        bad: NaN or infinity.
    """
    inputs = dict(zip(HEADS, make_heads(batch=1, length=70), strict=True))
    clean, clean_grads = differentiate(operator, inputs.values())
    inputs[name] = inputs[name].clone()
    inputs[name][0, 1, 67, 2] = bad
    y, grads = differentiate(operator, inputs.values())
    assert torch.equal(y[:, :, :67], clean[:, :, :67])
    torch.testing.assert_close(grads[0][:, :, :67], clean_grads[0][:, :, :67])
    assert not y[0, 1, 67].isfinite().all()
