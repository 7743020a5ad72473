"""What only the naive backends can do: second derivatives, forward mode, `torch.func`."""

from collections.abc import Callable
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch.autograd import forward_ad

Gradients = tuple[Tensor, ...]


class TransformError(RuntimeError):
    """A backend cannot be transformed in the way that is asked for."""


def refuse_transforms(operator: str) -> None:
    """Refuses to run within `torch.func` or in forward mode, where tangents would be lost unseen.

    Raises:
        TransformError: If it is so.
    """
    if _within_functorch():
        _refuse(operator, 'under transforms of torch.func such as vmap, grad and jvp')
    if forward_ad._current_level >= 0:
        _refuse(operator, 'derivatives in forward mode')


def refuse_second_derivative(operator: str) -> NoReturn:
    """Stands in the place of the second derivative.

    Raises:
        TransformError: Always.
    """
    _refuse(operator, 'a second derivative')


class Once(torch.autograd.Function):
    """Computes gradients in the backward of another function; has no gradients of its own.

    `once_differentiable` of torch is no such thing: its error is not connected with the inputs, so
    a second derivative with respect to them is zero without a word.
    """

    @staticmethod
    def forward(
        ctx: Any, operator: str, gradients: Callable[..., Gradients], *arguments: Tensor
    ) -> Gradients:
        ctx.operator = operator
        return gradients(*arguments)

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> NoReturn:
        refuse_second_derivative(ctx.operator)


def differentiable_once(operator: str, *tensors: Tensor) -> Gradients:
    """Returns tensors of which the gradients have none, for an operator that torch differentiates.

    Args:
        operator: The name that the error of a second derivative begins with.
        *tensors: What the operator computes with.
    """
    return _Guard.apply(operator, *tensors)


class _Guard(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, operator: str, *tensors: Tensor) -> Gradients:
        ctx.operator = operator
        return _views(*tensors)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return None, *Once.apply(ctx.operator, _views, *gradients)


def _views(*tensors: Tensor) -> Gradients:
    return tuple(x.view_as(x) for x in tensors)


def _refuse(operator: str, what: str) -> NoReturn:
    raise TransformError(f"{operator}: this backend cannot compute {what}; use backend='naive'")


def _within_functorch() -> bool:
    return torch._C._functorch.peek_interpreter_stack() is not None


# torch.compile takes it as a constant
_within_functorch._dynamo_marked_constant = True  # type: ignore[attr-defined]
