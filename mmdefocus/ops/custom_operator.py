"""Registers a function and its gradient as operators of torch."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, get_type_hints

import torch
from torch import Tensor

from .eager import Outputs, eager_operator, needs_dispatcher, once
from .transforms import Gradients, refuse_second_derivative

_TENSORS = ('Tensor', 'Tensor?')
_SCHEMA_TYPES = {
    Tensor: 'Tensor',
    Tensor | None: 'Tensor?',
    int: 'SymInt',
    float: 'float',
    bool: 'bool',
}


def custom_operator(
    name: str,
    forward: Callable[..., Outputs],
    backward: Callable[..., tuple[Tensor, ...]],
    outputs: Callable[..., Outputs] | None = None,
    *,
    results: int = 1,
    kept: int = 0,
    empty: Callable[[Tensor], Tensor] = torch.empty_like,
    device_types: str | None = None,
    schema: str | None = None,
    constant: tuple[int, ...] = (),
) -> Callable[..., Any]:
    """Registers `mmdefocus::name` and `mmdefocus::name_backward`; returns what calls the first.

    `torch.compile` and `torch.export` take both as they are. There is no second derivative. Where
    nothing looks at the operators that are called, it calls the functions themselves, see `eager`.

    Args:
        name: The name of the operator and that of the backend, joined by an underscore.
        forward: Returns the output, alone or followed by what the backward needs.
        backward: Takes the arguments of `forward`, the last `kept` of its outputs, and the gradient
            of its result; of several, those that there are, and None for the others. Returns a
            gradient for each argument that may be a tensor, but for those that are `constant`;
            `first.new_empty(0)` where the argument is None.
        outputs: Takes the arguments of `forward`; returns its outputs, uninitialised. By default
            there is one, like a gradient of the first argument.
        results: How many outputs have a gradient, from the first on.
        kept: How many outputs the backward needs, up to the last.
        empty: Returns the gradient of an argument, uninitialised, in the layout of `backward`.
        device_types: The type of the only devices that it runs on; or None, if it runs on all.
        schema: That of `forward`, where its annotations do not tell it.
        constant: The positions of tensors that have no gradient, such as those of integers.
    """
    schema = schema or torch.library.infer_schema(forward, mutates_args=())
    parameters = schema.partition(' -> ')[0][1:-1]
    types = [parameter.split()[0] for parameter in parameters.split(', ')]
    tensors = [place for place, type_ in enumerate(types) if type_ in _TENSORS]
    floats = {place for place, type_ in enumerate(types) if type_ == 'float'}
    saved = ''.join(f', Tensor saved_{i}' for i in range(kept))
    given = ', Tensor gradient'
    if results > 1:
        given = ''.join(f', Tensor? gradient_{i}' for i in range(results))
    varied = [place for place in tensors if place not in constant]
    gradients = ', '.join(['Tensor'] * len(varied))

    define = torch.library.custom_op
    options: dict[str, Any] = {'mutates_args': (), 'device_types': device_types}
    run = define(f'mmdefocus::{name}', forward, schema=schema, **options)
    run_backward = define(
        f'mmdefocus::{name}_backward',
        backward,
        schema=f'({parameters}{saved}{given}) -> ({gradients})',
        **options,
    )
    run.register_fake(outputs or (lambda first, *_: empty(first)))
    run_backward.register_fake(
        lambda first, *others: tuple(
            first.new_empty(0) if x is None else empty(x)
            for x in ((first, *others)[place] for place in varied)
        )
    )

    def setup_context(ctx: Any, inputs: tuple[object, ...], output: Outputs) -> None:
        ctx.set_materialize_grads(False)  # what is kept has no gradient, and zeros cost memory
        results = output if isinstance(output, tuple) else (output,)
        ctx.save_for_backward(*(inputs[i] for i in tensors), *results[len(results) - kept :])
        ctx.options = [None if i in tensors else value for i, value in enumerate(inputs)]

    def differentiate(
        gradients: Callable[..., Gradients], ctx: Any, *output_gradients: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        given = output_gradients[:results]
        if all(gradient is None for gradient in given):
            return (None,) * len(types)
        saved = ctx.saved_tensors  # once, since under recomputation an access takes them out
        arguments = list(ctx.options)
        for place, tensor in zip(tensors, saved, strict=False):
            arguments[place] = tensor
        parts = gradients(*arguments, *saved[len(tensors) :], *given)
        found: list[Tensor | None] = [None] * len(types)
        for place, part in zip(varied, parts, strict=True):
            found[place] = None if arguments[place] is None else part
        return tuple(found)

    run.register_autograd(partial(differentiate, run_backward), setup_context=setup_context)
    run_backward.register_autograd(lambda *_: refuse_second_derivative(name))
    eagerly = partial(differentiate, partial(once, name, backward, run_backward))
    run_eagerly = eager_operator(name, forward, setup_context, eagerly)

    def call(*arguments: Any) -> Any:
        if needs_dispatcher(arguments):
            return run(*arguments)
        # what is given as an integer, the dispatcher would convert
        return run_eagerly(*(float(x) if i in floats else x for i, x in enumerate(arguments)))

    return call


def needs_backward(arguments: Iterable[object]) -> bool:
    """Returns whether what is computed of these arguments can have a gradient."""
    tensors = (x for x in arguments if isinstance(x, Tensor))
    return torch.is_grad_enabled() and any(x.requires_grad for x in tensors)


def parameters_of(record: type) -> str:
    """Writes the fields of a NamedTuple as the parameters of a schema."""
    fields = get_type_hints(record).items()
    return ', '.join(f'{_SCHEMA_TYPES[type_]} {name}' for name, type_ in fields)
