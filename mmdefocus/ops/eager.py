"""Calls an operator without the dispatcher of torch, which takes longer than a small kernel.

What a registered operator is for is a graph that holds it (torch.compile, torch.export), and a mode
or a kind of tensor that sees every operator. All other calls need its function and its gradient
alone. Forward and backward of a small convolution took 2.5 times as long through the dispatcher.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

from .transforms import Gradients, Once

Outputs = Tensor | tuple[Tensor, ...]


def needs_dispatcher(arguments: tuple[object, ...]) -> bool:
    """Returns whether something sees the operators that are called, or what a tensor holds.

    A kernel reads memory. That of a tensor that is negated when it is read, of a lazy zero, of a
    batch of `torch.func` or of a subclass is not what the tensor stands for, and has other keys.
    """
    if torch.compiler.is_compiling() or torch._C._get_tracing_state() is not None:
        return True
    if torch._C._len_torch_dispatch_stack() > 0:
        return True
    tensors = (x for x in arguments if isinstance(x, Tensor))
    return any(_keys(x) not in _plain_keys(x.device.type) for x in tensors)


def _keys(x: Tensor) -> int:
    return torch._C._dispatch_keys(x).raw_repr()


@cache
def _plain_keys(device_type: str) -> frozenset[int]:
    """Returns the keys of tensors that are what is in their memory; none on the meta device."""
    if device_type == 'meta':
        return frozenset()
    with torch.inference_mode():
        inference = torch.empty(0, device=device_type)
    with torch.inference_mode(False):
        return frozenset({_keys(inference), _keys(torch.empty(0, device=device_type))})


def eager_operator(
    name: str,
    forward: Callable[..., Outputs],
    setup_context: Callable[[Any, tuple[object, ...], Outputs], None],
    differentiate: Callable[..., tuple[Tensor | None, ...]],
) -> Callable[..., Outputs]:
    """Returns a function with a gradient, as `torch.library.register_autograd` would make it.

    Args:
        name: Of the operator; its node in the graph of autograd has it, too.
        forward: The function.
        setup_context: Keeps what the gradient needs, from the arguments and the output.
        differentiate: Computes gradients of all arguments from what is kept and those of outputs.
    """

    def run(ctx: Any, *arguments: object) -> Outputs:
        outputs = forward(*arguments)
        setup_context(ctx, arguments, outputs)
        return outputs

    functions = {'forward': staticmethod(run), 'backward': staticmethod(differentiate)}
    function: Any = type(f'Differentiable_{name}', (torch.autograd.Function,), functions)

    def call(*arguments: object) -> Outputs:
        return function.apply(*arguments) if torch.is_grad_enabled() else forward(*arguments)

    return call


def once(
    name: str,
    backward: Callable[..., Gradients],
    dispatched: Callable[..., Gradients],
    *arguments: Any,
) -> Gradients:
    """Computes gradients that refuse to be differentiated, where autograd would try it.

    Args:
        name: Of the operator.
        backward: Computes them.
        dispatched: The same, as a registered operator.
        *arguments: Of both.
    """
    if needs_dispatcher(arguments):
        return dispatched(*arguments)
    if torch.is_grad_enabled():
        return Once.apply(name, backward, *arguments)
    return backward(*arguments)
