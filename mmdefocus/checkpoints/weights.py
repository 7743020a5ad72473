"""What may stand under the name of a weight: finite numbers, of the kind that a layer expects."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..utils.errors import InputError

PLACES = ('state_dict', 'module')  # of MMEngine, and of DeepSpeed's `mp_rank_00_model_states.pt`
EXTRA_STATE = '_extra_state'  # what a module keeps beside its tensors, by PyTorch's own rule


def weights_of(checkpoint: Mapping[str, Any], path: object) -> Mapping[str, Any]:
    """Returns the weights of a checkpoint, which are under a key of `PLACES` or are all of it.

    Raises:
        InputError: If there are none, or something else is among them.
    """
    weights = next((checkpoint[key] for key in PLACES if key in checkpoint), checkpoint)
    tensors = isinstance(weights, Mapping) and any(
        isinstance(value, Tensor) for value in weights.values()
    )
    if not tensors:
        raise InputError(f'checkpoint {path}: holds no weights; expected a `state_dict`')
    for name, value in weights.items():
        if not isinstance(name, str):
            raise InputError(f'checkpoint {path}: expected names of weights, got {name!r:.80}')
        if not isinstance(value, Tensor) and not name.endswith(EXTRA_STATE):
            found = 'a `state_dict`' if weights is checkpoint else 'a tensor'
            raise InputError(
                f'checkpoint {path}: holds no weights alone; expected {found}, got {name:.80} of '
                f'{type(value).__name__}'
            )
    return weights


def check_numbers(weights: Mapping[str, Any], path: object) -> None:
    """Checks that weights are finite, and floating-point where layers multiply or add them.

    Raises:
        InputError: Names the first weight that is not.
    """
    for name, weight in weights.items():
        is_integer = isinstance(weight, Tensor) and not weight.is_floating_point()
        if is_integer and name.rpartition('.')[2] in ('weight', 'bias'):
            raise InputError(
                f'checkpoint {path}: weight {name} is of {weight.dtype}, expected floating-point '
                'numbers'
            )
    check_finite(weights, path)


def check_finite(weights: Mapping[str, Any], path: object) -> None:
    """Checks that no weight is NaN or infinite.

    Raises:
        InputError: Names the first one that is.
    """
    for name, weight in weights.items():
        if isinstance(weight, Tensor) and not is_finite(weight):
            raise InputError(
                f'checkpoint {path}: weight {name} is NaN or infinite; use an earlier checkpoint'
            )


def is_finite(weight: Tensor) -> bool:
    """Tells whether all numbers are finite. A finite sum, which takes no memory, proves it."""
    if not weight.is_floating_point():
        return True
    wide = torch.promote_types(weight.dtype, torch.float32)
    return bool(weight.sum(dtype=wide).isfinite()) or bool(weight.isfinite().all())


def is_number(tensor: Tensor) -> bool:
    """Tells whether no number is NaN; infinite ones may have a meaning in an optimizer."""
    return is_finite(tensor) or not bool(tensor.isnan().any())


def tensors_in(node: object) -> Iterator[Tensor]:
    """Yields all tensors in nested containers."""
    if isinstance(node, Tensor):
        yield node
    children = list(node.values()) if isinstance(node, Mapping) else node
    if isinstance(children, (list, tuple)):
        for child in children:
            yield from tensors_in(child)


def unlike_kinds(module: nn.Module, weights: Mapping[str, Any]) -> list[str]:
    """Returns the names of weights of integers where a module has floats, or the reverse."""
    own = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    return [
        name
        for name, value in weights.items()
        if isinstance(value, Tensor)
        and name in own
        and value.is_floating_point() != own[name].is_floating_point()
    ]
