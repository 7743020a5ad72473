"""Tells whether two configs ask for the same training, on whatever machine they are read."""

import hashlib
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from copy import deepcopy
from pathlib import Path

from mmengine.config import Config

from ...utils.errors import InputError
from .data_folder import data_options

# Places and ways to go on; `data_root` is a variable of which the data roots are made.
NO_SETTINGS = ('work_dir', 'resume', 'data_root')
ADDRESS = re.compile(r' at 0x[0-9a-fA-F]+')


def fingerprint(cfg: Config) -> str:
    """Returns a text that is the same for configs that differ at most in seed, places and comments.

    Data roots count only from where they differ from each other.
    """
    cfg = deepcopy(cfg)
    with suppress(InputError):  # no data root
        cfg.merge_from_dict(data_options(cfg, Path()))
    content = {key: value for key, value in cfg.to_dict().items() if key not in NO_SETTINGS}
    content['randomness'] = {**(content.get('randomness') or {}), 'seed': None}
    text = json.dumps(_plain(content), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _plain(node: object) -> object:
    """Returns what JSON can hold; of other objects what they say of themselves, less the address.

    The order of a set differs from process to process.
    """
    if isinstance(node, Mapping):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [_plain(value) for value in node]
    if isinstance(node, set | frozenset):
        return sorted(str(_plain(value)) for value in node)
    if node is None or isinstance(node, str | int | float):
        return node
    return ADDRESS.sub('', repr(node))
