"""Keys that a config must have, and those that look like a mistaken one."""

import difflib
from collections.abc import Iterable

from mmengine.config import Config

from .errors import InputError


def check_keys(cfg: Config, wanted: Iterable[str]) -> None:
    """Checks that a config has what is needed of it.

    Raises:
        InputError: Names the missing key and the nearest ones that the config has.
    """
    for key in wanted:
        if cfg.get(key) is None:
            where = f'{cfg.filename}: ' if cfg.filename else ''
            names = nearest(key, set(cfg) - {key})
            raise InputError(f'{where}the config has no {key!r}{names}')


def config_name(cfg: Config) -> str:
    """Returns the file of a config for a message; one that was made in a program has none."""
    return cfg.filename or 'config'


def nearest(key: str, valid: Iterable[str]) -> str:
    """Returns '; nearest: a, b' with the valid names that look like a key, or nothing."""
    names = difflib.get_close_matches(key, sorted(map(str, valid)), n=3)
    return f'; nearest: {", ".join(names)}' if names else ''
