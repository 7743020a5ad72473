"""Architectures by name or as a dict."""

import difflib
from collections.abc import Mapping

from mmdefocus.utils.checks import check_choice

MAY_BE_ZERO = ('state_size', 'key_norm', 'scale_decades')  # what is left out then

# width, depth and heads of DeiT, and ViT's large
VIT_SIZES = {
    'tiny': {'embed_dims': 192, 'depth': 12, 'num_heads': 3},
    'small': {'embed_dims': 384, 'depth': 12, 'num_heads': 6},
    'base': {'embed_dims': 768, 'depth': 12, 'num_heads': 12},
    'large': {'embed_dims': 1024, 'depth': 24, 'num_heads': 16},
}


def resolve_arch(
    family: str, arch: str | Mapping, table: Mapping[str, Mapping], defaults: Mapping
) -> dict[str, int]:
    """Returns the settings of an architecture, given by its name or as a dict.

    Args:
        family: Name of the class, for messages.
        arch: A key of `table`, or a dict with the keys of its entries; those of `defaults` may
            be left out.
        table: Named architectures.
        defaults: Optional keys with their values.

    Raises:
        ValueError: If the name is unknown, or a key is missing, unknown, or not a positive int.
    """
    if isinstance(arch, str):
        check_choice(f'arch of {family}', arch, table)
        return {**defaults, **table[arch]}
    required = next(iter(table.values())).keys() - defaults.keys()
    for key in arch:
        if key not in required | defaults.keys():
            near = difflib.get_close_matches(key, [*required, *defaults], n=1)
            hint = f', did you mean {near[0]!r}?' if near else ''
            raise ValueError(f'arch of {family}: unknown key {key!r}{hint}')
    if missing := sorted(required - arch.keys()):
        raise ValueError(f'arch of {family}: missing {", ".join(missing)}')
    for key, value in arch.items():
        if not isinstance(value, int) or value < (key not in MAY_BE_ZERO):
            raise ValueError(f'arch of {family}: {key} must be a positive integer, got {value!r}')
    return {**defaults, **arch}
