"""Floating point operations of our operators, by their formulas, since no counter sees inside them.

What counts is said in `mmdefocus.ops.operator.Operator.cost`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from ...ops import operators, replaced
from ...ops.operator import Operator, Outputs, like


class OperatorCounter:
    """Sums the operations of the calls within `count_operators`."""

    def __init__(self) -> None:
        self.flops = 0

    def count(self, operator: Operator, *arguments: object) -> Outputs:
        """Counts instead of computing; an operator without a formula is counted in its parts."""
        if operator.cost is None:
            return operator.exportable(*arguments)
        self.flops += operator.cost(*arguments)
        return _KeepInputs.apply(operator.empty_output, *arguments)


class _KeepInputs(torch.autograd.Function):
    """What a fused kernel keeps for its backward: its inputs; states are computed again."""

    @staticmethod
    def forward(ctx: Any, empty_output: Callable[..., Outputs], *args: Any) -> Outputs:
        ctx.save_for_backward(*(arg for arg in args if isinstance(arg, Tensor)))
        return empty_output(*args)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> None:
        raise RuntimeError('operators that are counted compute nothing')


@contextmanager
def count_operators() -> Iterator[OperatorCounter]:
    """Replaces our operators; their outputs have a shape, but no values."""
    counter = OperatorCounter()
    with replaced({name: partial(counter.count, op) for name, op in operators().items()}):
        yield counter


class FusedAttention(TorchFunctionMode):
    """Lets torch's own attention keep what its fused kernels keep, as ours do.

    On the meta device torch takes the plain form, which keeps the weights of all pairs of tokens.
    """

    def __torch_function__(
        self, func: Callable, types: tuple, args: tuple = (), kwargs: dict | None = None
    ) -> object:
        if func is F.scaled_dot_product_attention:
            query, key, value = args[:3]
            return _KeepInputs.apply(like(0), query, key, value)
        return func(*args, **(kwargs or {}))
