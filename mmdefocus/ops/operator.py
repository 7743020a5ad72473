"""What an operator is, and which of its backends runs a call.

An operator is a function on tensors with several backends. It is declared once, in the `__init__`
of its folder; whatever needs a list of operators asks `operators()`.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .transforms import refuse_transforms

# what is computed; from an initial state, the final one as well
Outputs = Tensor | tuple[Tensor, Tensor]
REFERENCE = 'naive'  # the backend of every operator that runs anywhere, in plain torch


class Shape(NamedTuple):
    """Batch, tokens, channels inside the mixer, states per channel: the sizes of an example."""

    batch: int
    length: int
    channels: int
    state: int = 16


def everywhere(device: torch.device) -> None:
    """The `why_not` of a backend that runs wherever torch runs."""


def always(*arguments: object) -> bool:
    """The `suits` of a backend that any call suits."""
    return True


def on_cuda(first: Tensor, *others: object) -> bool:
    """The `suits` of a backend that is made for GPUs."""
    return first.device.type == 'cuda'


def has_values(first: Tensor, *others: object) -> bool:
    """The `suits` of a backend that reads sizes from a tensor."""
    return first.device.type != 'meta'


def like(place: int) -> Callable[..., Tensor]:
    """Returns the `empty_output` of an operator whose output is such as an argument of it."""
    return lambda *arguments: torch.empty_like(arguments[place])


LIKE_FIRST = like(0)


def no_flops(*arguments: object) -> int:
    """The `cost` of norms, gates and activations, which do not count."""
    return 0


@dataclass(frozen=True)
class Backend:
    """An implementation of an operator.

    Attributes:
        run: Computes the operator of checked arguments. All its backends take the same, in the
            same order; the first is a tensor or has a `device`.
        why_not: Tells why it cannot run on a device, in one line; None if it can.
        suits: Tells of the arguments whether `auto` may take it. It must be cheap and may look at
            devices and shapes only.
    """

    run: Callable[..., Outputs]
    why_not: Callable[[torch.device], str | None] = everywhere
    suits: Callable[..., bool] = always


@dataclass(frozen=True)
class Operator:
    """Everything that the rest of the house needs to know of an operator.

    Attributes:
        function: The public function. Its name is that of the operator, of its folder and the
            first word of its functions in C and of its registered operators.
        backends: By name. `auto` takes the first that suits the call and can run; one without
            conditions is last.
        exportable: Computes it in plain tensor operations that `torch.export` takes, without a
            loop in Python over tokens. It serves inference.
        example: Makes arguments for `function`, by name, laid out as a mixer has them.
        cost: Counts the floating point operations of the arguments of a backend by formula, since
            no counter sees inside. None where they are those of the operators that `exportable`
            calls. A multiplication, an addition and an exponential count one each; norms, gates
            and activations do not count, as in `torch.utils.flop_counter`.
        empty_output: Makes an output, uninitialised, from the arguments of a backend; where they
            include an initial state, a final one as well.
        with_state: The public function that begins at a state and returns the final one, of an
            operator along a sequence that has a state. Its backends are the same.
    """

    function: Callable[..., Tensor]
    backends: Mapping[str, Backend]
    exportable: Callable[..., Outputs]
    example: Callable[[Shape, torch.dtype], dict[str, object]]
    cost: Callable[..., int] | None = None
    empty_output: Callable[..., Outputs] = LIKE_FIRST
    with_state: Callable[..., tuple[Tensor, Tensor]] | None = None

    @property
    def name(self) -> str:
        """The name of the public function."""
        return self.function.__name__

    def run(self, *arguments: Any, backend: str = 'auto') -> Outputs:
        """Computes checked arguments with a backend of the operator.

        Args:
            *arguments: What the backends take.
            backend: The name of one, or `auto`: MMDEFOCUS_BACKEND if it is set and the operator
                has such a backend, else the first that suits and can run.

        Raises:
            ValueError: If the wanted backend does not exist or cannot run here.
        """
        suited = tuple(name for name, b in self.backends.items() if b.suits(*arguments))
        chosen = _choose(self.name, backend, arguments[0].device, suited)
        if chosen != REFERENCE:
            refuse_transforms(self.name)
        return self.backends[chosen].run(*arguments)


_OPERATORS: dict[str, Operator] = {}
_REPLACED: dict[str, Callable[..., Outputs]] = {}


def register(operator: Operator) -> None:
    """Enters an operator into the list."""
    _OPERATORS[operator.name] = operator


def operators() -> dict[str, Operator]:
    """Returns all operators by name."""
    return dict(_OPERATORS)


def run(name: str, backend: str, *arguments: object) -> Any:
    """Computes checked arguments with what is in the place of an operator, see `Operator.run`.

    Returns `Outputs`: which of them, the caller knows by the arguments.
    """
    if name in _REPLACED:
        return _REPLACED[name](*arguments)
    return _OPERATORS[name].run(*arguments, backend=backend)


@contextmanager
def replaced(functions: Mapping[str, Callable[..., Outputs]]) -> Iterator[None]:
    """Within it, functions take the place of operators, whatever backend is asked for.

    Args:
        functions: By the name of the operator. They get the arguments of its backends; one that
            only watches passes them on to `operators()[name].run`.

    Raises:
        ValueError: If there is no such operator.
    """
    if unknown := functions.keys() - _OPERATORS.keys():
        raise ValueError(f'functions: expected names of operators(), got {sorted(unknown)}')
    before = dict(_REPLACED)
    _REPLACED.update(functions)
    try:
        yield
    finally:
        _REPLACED.clear()
        _REPLACED.update(before)


@contextmanager
def exportable() -> Iterator[None]:
    """Within it, every operator runs in a form that `torch.export` takes, for inference."""
    with replaced({name: operator.exportable for name, operator in _OPERATORS.items()}):
        yield


def available_backends(device: str | torch.device | None = None) -> dict[str, dict[str, str]]:
    """Tells which backends can run on a device, and why the others cannot.

    Args:
        device: The device to ask for; by default the GPU if there is one, else the CPU.

    Returns:
        For every operator a dict from the name of a backend to 'available' or the reason why it
        cannot run, in the order of `Operator.backends`.
    """
    if device is None:
        device = 'cuda' if torch.cuda.is_available() else 'cpu'
    device = torch.device(device)
    return {
        name: {b: entry.why_not(device) or 'available' for b, entry in operator.backends.items()}
        for name, operator in _OPERATORS.items()
    }


def _choose(name: str, backend: str, device: torch.device, suited: tuple[str, ...]) -> str:
    backends = _OPERATORS[name].backends
    source = 'backend'
    if backend == 'auto':
        backend = os.environ.get('MMDEFOCUS_BACKEND', 'auto')
        source = 'MMDEFOCUS_BACKEND'
        known = any(backend in operator.backends for operator in _OPERATORS.values())
        if backend not in backends and known:
            backend = 'auto'
    if backend == 'auto':
        return next(b for b in suited if backends[b].why_not(device) is None)
    if backend not in backends:
        raise ValueError(
            f'{source}: {name} has no backend {backend!r}, choose auto or one of '
            f'{", ".join(backends)}'
        )
    if device.type == 'meta':  # shapes alone, which are those of every backend
        return next(b for b in suited if backends[b].why_not(device) is None)
    if (reason := backends[backend].why_not(device)) is not None:
        raise ValueError(f'{source}: {backend!r} cannot run {name} on {device}: {reason}')
    return backend


# torch.compile takes the name as a constant and does not trace the reasons. This is all that
# torch.compiler.assume_constant_result does, which would import the whole compiler for it.
_choose._dynamo_marked_constant = True  # type: ignore[attr-defined]
