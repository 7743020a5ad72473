"""States of streams that were saved: what belongs to them, and whether they fit."""

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor

from .backbones import ImageBackbone

SAMPLED = 64  # values of a parameter that go into a fingerprint
COUNTED = ('rows', 'complete')


def as_tensor(value: float) -> Tensor:
    """Returns a number as a tensor `()` that holds it exactly."""
    return torch.tensor(value, dtype=torch.float64 if isinstance(value, float) else None)


def check_saved(
    state: Mapping[str, Tensor], own: Mapping[str, Tensor], identity: Mapping[str, float]
) -> None:
    """Raises a ValueError that names the first thing in which a saved state does not fit a stream.

    Args:
        state: What was saved.
        own: The tensors of the state of the stream.
        identity: The numbers that both must have in common.
    """
    if not isinstance(state, Mapping):
        raise ValueError(f'state: expected tensors by name, got {type(state).__name__}')
    for key, value in identity.items():
        found = _number(state, key)
        if found == value:
            continue
        if key == 'weights' and found is not None:
            raise ValueError('state: expected weights those of this model, got those of another')
        raise ValueError(f'state: expected {key} {value}, got {found}')
    for key in sorted({*own, *COUNTED}):
        fits = isinstance(state.get(key), Tensor)
        if not fits or (key in COUNTED and _number(state, key) is None):
            got = 'none' if key not in state else type(state[key]).__name__
            raise ValueError(f'state: expected {key}, got {got}')
    if unknown := state.keys() - own.keys() - identity.keys() - set(COUNTED):
        raise ValueError(f'state: expected no {min(unknown)}')
    for name, tensor in own.items():
        _check_tensor(name, state[name], tensor)
    if (rows := int(state['rows'])) < 0:
        raise ValueError(f'state: expected rows of 0 or more, got {rows}')
    for name in own:
        if '.keys.' in name:
            _check_kept(name, state)


def fingerprint(model: ImageBackbone) -> int:
    """Returns a number that tells models apart.

    It is made of the names, shapes and a sample of the weights, of the settings of the mixers, and
    of the order of the tokens.
    """
    digest = hashlib.sha256(type(model).__name__.encode())
    for name, tensor in model.state_dict().items():
        flat = tensor.detach().flatten()
        sample = flat[:: max(1, len(flat) // SAMPLED)].double().cpu().numpy()
        digest.update(f'{name} {tuple(tensor.shape)} {tensor.dtype}'.encode())
        digest.update(sample.tobytes())
    parts = (part for block in model.blocks for part in block.mixer.modules())
    for part in (model.order, *parts):
        digest.update(f'{type(part).__name__} {_settings(part)}'.encode())
    return int.from_bytes(digest.digest()[:7], 'big')


def _settings(part: object) -> list[tuple[str, object]]:
    """Returns the numbers and texts that an object was made with."""
    own = vars(part).items()
    kept = [(name, x) for name, x in own if isinstance(x, int | float | str)]
    return sorted((name, x) for name, x in kept if name != 'training' and name[0] != '_')


def _number(state: Mapping[str, Tensor], key: str) -> float | None:
    """Returns a number of a saved state; None if there is none of that name."""
    value = state.get(key)
    if not isinstance(value, Tensor) or value.numel() != 1 or value.is_meta:
        return None
    return value.item()


def _check_tensor(name: str, found: Tensor, own: Tensor) -> None:
    fits = found.dtype == own.dtype and found.dim() == own.dim() and not found.is_meta
    grows = {1} if '.keys.' in name or '.values.' in name else set()
    sizes = zip(found.shape, own.shape, strict=False)
    if not fits or any(a != b for dim, (a, b) in enumerate(sizes) if dim not in grows):
        raise ValueError(
            f'state: expected {name} {tuple(own.shape)} {own.dtype}, got {tuple(found.shape)} '
            f'{found.dtype} on {found.device}'
        )
    if found.is_floating_point() and not found.isfinite().all():
        raise ValueError(f'state: expected numbers in {name}, got NaN or infinity')


def _check_kept(name: str, state: Mapping[str, Tensor]) -> None:
    """Raises a ValueError if a head of attention has not all tokens, kept or summed up."""
    block, head = name.split('.keys.')
    keys, values = state[name].shape[1], state[f'{block}.values.{head}'].shape[1]
    faded, position = int(state[f'{block}.number'][int(head)]), int(state['position'])
    if keys != values or keys + faded != position:
        raise ValueError(
            f'state: expected {position - faded} tokens in {name} and as many values, '
            f'got {keys} and {values}'
        )
