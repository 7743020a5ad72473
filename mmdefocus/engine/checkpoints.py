"""Refuses checkpoints that MMEngine would load in part, without a word."""

import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

import torch
from mmengine.runner.checkpoint import get_torch_safe_globals
from torch import nn

from ..errors import InputError

RESUME_KEYS = ('meta', 'optimizer', 'message_hub')


def is_local(path: str) -> bool:
    """Tells whether a path is on this machine; URLs are left to MMEngine."""
    return '://' not in path


def check_file(path: str, prefix: str | None = None, resume: bool = False) -> None:
    """Checks that a local checkpoint can be read and holds weights; does not read them.

    Only tensors and plain containers are accepted: a checkpoint is data, never code.

    Args:
        path: The file.
        prefix: Beginning of the names of the wanted weights, such as 'backbone.'.
        resume: Whether a training is to be resumed from it.

    Raises:
        InputError: If the file does not exist, is cut short, or holds something else.
    """
    if not os.path.isfile(path):
        raise InputError(f'checkpoint {path}: no such file')
    checkpoint = read_checkpoint(path)
    weights = checkpoint.get('state_dict', checkpoint) if isinstance(checkpoint, Mapping) else {}
    names = [name for name, value in weights.items() if isinstance(value, torch.Tensor)]
    if not names:
        raise InputError(f'checkpoint {path}: holds no weights; expected a `state_dict`')
    if prefix and not any(name.startswith(prefix) for name in names):
        heads = sorted({name.partition('.')[0] for name in names})
        raise InputError(
            f'checkpoint {path}: holds no weight under prefix {prefix!r}; its names begin with '
            f'{_some(heads)}'
        )
    absent = [key for key in RESUME_KEYS if key not in checkpoint]
    if resume and absent:
        raise InputError(
            f'checkpoint {path}: cannot be resumed, it lacks {", ".join(absent)}; to start from '
            'its weights alone, use --cfg-options load_from=…'
        )


def read_checkpoint(path: str) -> object:
    """Returns what a local checkpoint of MMEngine holds, without executing anything of it.

    Raises:
        InputError: If the file is cut short or holds more than tensors and plain containers.
    """
    size = os.path.getsize(path)
    archive = zipfile.is_zipfile(path)
    try:
        with torch.serialization.safe_globals(get_torch_safe_globals()):
            return torch.load(path, map_location='cpu', weights_only=True, mmap=archive)
    except Exception as error:  # every file format fails in its own way
        with open(path, 'rb') as file:
            cut_short = file.read(2) == b'PK' and not archive
        reason = (
            'it is cut short; copy or download it again'
            if cut_short
            else 'expected a PyTorch checkpoint of tensors and plain containers'
        )
        raise InputError(f'checkpoint {path} ({size} bytes): cannot be read; {reason}') from error


@contextmanager
def checked_load(
    module: nn.Module, source: str, tolerate: Literal['nothing', 'extra', 'partial']
) -> Iterator[None]:
    """Within it, an incomplete load of the module's weights is an error.

    The verdict comes from PyTorch's own bookkeeping, after all conversions that modules do.

    Args:
        module: Where the weights go.
        source: The checkpoint, for the message.
        tolerate: 'nothing'; 'extra' weights that the module has no place for; or a 'partial'
            load, of which at least one weight fits.

    Raises:
        InputError: Names the first weights that do not fit, and how many there are.
    """
    given, misfits = 0, []

    def before(module, state_dict, prefix, metadata, strict, missing, unexpected, messages):
        nonlocal given, misfits
        given, misfits = len(state_dict), messages

    def after(module: nn.Module, keys) -> None:
        # `num_batches_tracked` is absent from old checkpoints, MMEngine overlooks it too.
        missing = [key for key in keys.missing_keys if not key.endswith('num_batches_tracked')]
        if tolerate == 'partial' and given > len(keys.unexpected_keys) + len(misfits):
            return
        extra = keys.unexpected_keys if tolerate == 'nothing' else []
        problems = [
            f'{len(names)} {what} ({_some(names)})'
            for what, names in (
                ('missing', missing),
                ('unexpected', extra),
                ('of another shape', [_weight_name(message) for message in misfits]),
            )
            if names
        ]
        if problems:
            raise InputError(
                f'checkpoint {source} does not fit {type(module).__name__}: '
                f'{", ".join(problems)}; use the checkpoint of this config'
            )

    handles = (
        module.register_load_state_dict_pre_hook(before),
        module.register_load_state_dict_post_hook(after),
    )
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def pretrained_files(module: nn.Module) -> Iterator[tuple[nn.Module, str]]:
    """Yields each submodule that starts from a checkpoint by its `init_cfg`, with the path."""
    for child in module.modules():
        for rule in _rules(getattr(child, 'init_cfg', None)):
            if rule.get('type') == 'Pretrained':
                yield child, rule['checkpoint']


def _rules(init_cfg: Mapping | list | None) -> Iterable[Mapping]:
    return init_cfg if isinstance(init_cfg, list) else [init_cfg or {}]


def _weight_name(message: str) -> str:
    """Returns the name in PyTorch's 'size mismatch for NAME: copying a param …'."""
    return message.removeprefix('size mismatch for ').partition(':')[0]


def _some(names: list[str], count: int = 3) -> str:
    return ', '.join(names[:count]) + (', …' if len(names) > count else '')
