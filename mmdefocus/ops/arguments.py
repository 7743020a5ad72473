"""What the operators ask of their arguments, in one vocabulary.

Batch, tokens and queries may be none. Every other size is at least 1.
"""

from collections.abc import Mapping
from itertools import takewhile

import torch
from torch import Tensor

from .numerics import wide_dtype

DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
MAY_BE_EMPTY = 'BLQ'


def check_tensors(tensors: Mapping[str, Tensor], dimensions: Mapping[str, str]) -> None:
    """Checks shapes, dtypes and devices against each other.

    Args:
        tensors: By the name of the argument; the first decides about the device.
        dimensions: A letter for each dimension of an argument, such as `BLD`. A letter has one
            size, which the first argument that has it gives.

    Raises:
        ValueError: If they do not fit; names the first argument that does not.
    """
    for name, tensor in tensors.items():
        check_dense(name, tensor)
    sizes: dict[str, int] = {}
    first = next(iter(tensors))
    device = tensors[first].device
    for name, tensor in tensors.items():
        letters, shape = dimensions[name], tensor.shape
        fits = len(letters) == len(shape)
        for letter, size in zip(letters, shape, strict=False):
            same = sizes.setdefault(letter, size) == size
            # `&=` on a size that torch.compile leaves open is beyond it
            fits = fits and same and (size > 0 or letter in MAY_BE_EMPTY)
        if not fits:
            raise ValueError(_misfit(name, tensors, dimensions))
        check_dtype(name, tensor)
        if tensor.device != device:
            raise ValueError(
                f'{name}: expected the device of {first}, {device}, got {tensor.device}'
            )


def check_state(state: Tensor | None, shape: tuple[int, ...], like: Tensor) -> None:
    """Checks an initial state, if there is one, against the shape that other arguments give it.

    Raises:
        ValueError: If it has another shape, no floating dtype, or is not on the device of `like`.
    """
    if state is None:
        return
    if not isinstance(state, Tensor):
        raise ValueError(f'initial_state: expected a tensor, got {type(state).__name__}')
    if state.shape != shape:
        raise ValueError(f'initial_state: expected {shape}, got {tuple(state.shape)}')
    check_dtype('initial_state', state)
    if state.device != like.device:
        raise ValueError(f'initial_state: expected the device {like.device}, got {state.device}')


def state_or_zeros(state: Tensor | None, shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Returns the state from which an operator begins, in the dtype of sums over values of `like`.

    Raises:
        ValueError: As `check_state`.
    """
    check_state(state, shape, like)
    dtype = wide_dtype(like.dtype)
    return like.new_zeros(shape, dtype=dtype) if state is None else state.to(dtype)


def check_group_size(group_size: int, channels: int) -> None:
    """Checks that channels divide into groups.

    Raises:
        ValueError: If they do not.
    """
    whole = isinstance(group_size, (int, torch.SymInt)) and not isinstance(group_size, bool)
    if not whole or group_size < 1 or channels % group_size:
        raise ValueError(f'group_size: expected a divisor of D = {channels}, got {group_size!r}')


def check_eps(eps: float) -> None:
    """Checks a number that is added to a mean square.

    Raises:
        ValueError: If it is negative or not finite.
    """
    number = isinstance(eps, (int, float, torch.SymFloat)) and not isinstance(eps, bool)
    if not number or not 0 <= eps < float('inf'):
        raise ValueError(f'eps: expected a finite number of at least 0, got {eps!r}')


def check_flag(name: str, value: bool) -> None:
    """Checks that an option is True or False, and no number or text that would count as one.

    Raises:
        ValueError: If it is not.
    """
    if not isinstance(value, bool):
        raise ValueError(f'{name}: expected True or False, got {value!r}')


def check_dense(name: str, tensor: object) -> None:
    """Checks that an argument is a tensor of one piece of memory.

    Raises:
        ValueError: If it is not.
    """
    if not isinstance(tensor, Tensor):
        raise ValueError(f'{name}: expected a tensor, got {type(tensor).__name__}')
    if tensor.layout != torch.strided or tensor.is_nested:
        kind = 'nested' if tensor.is_nested else str(tensor.layout).removeprefix('torch.')
        raise ValueError(f'{name}: expected a dense tensor, got a {kind} one')


def check_dtype(name: str, tensor: Tensor) -> None:
    """Checks that a tensor is of real numbers that operators compute with.

    Raises:
        ValueError: If it is not.
    """
    if tensor.dtype not in DTYPES:
        allowed = ', '.join(str(dtype).removeprefix('torch.') for dtype in DTYPES)
        raise ValueError(f'{name}: expected one of {allowed}, got {tensor.dtype}')


def _misfit(name: str, tensors: Mapping[str, Tensor], dimensions: Mapping[str, str]) -> str:
    """Says what was expected of an argument in view of those before it."""
    sizes: dict[str, int] = {}
    sources: dict[str, str] = {}  # the argument that gives a letter its size
    for before in takewhile(lambda before: before != name, tensors):
        for letter, size in zip(dimensions[before], tensors[before].shape, strict=True):
            sizes.setdefault(letter, size)
            sources.setdefault(letter, before)
    letters, found = dimensions[name], tuple(tensors[name].shape)
    expected = ', '.join(str(sizes.get(letter, letter)) for letter in letters)
    named = dict.fromkeys(sources[letter] for letter in letters if letter in sources)
    of = ' and '.join(f'{source} {tuple(tensors[source].shape)}' for source in named)
    positive = [letter for letter in letters if letter not in MAY_BE_EMPTY and letter not in sizes]
    return ''.join(
        (
            f'{name}: expected ({expected}{"," * (len(letters) == 1)})',
            f' for {of}' * bool(of),
            f' with {", ".join(positive)} >= 1' * (0 in found and bool(positive)),
            f', got {found}',
        )
    )
