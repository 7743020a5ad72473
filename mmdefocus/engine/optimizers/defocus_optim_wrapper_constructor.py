"""Weight decay on the parameters that should shrink, and on no others."""

import logging
from collections.abc import Iterable, Iterator, Mapping

from mmengine.logging import print_log
from mmengine.optim import DefaultOptimWrapperConstructor
from torch import nn

from ...registry import OPTIM_WRAPPER_CONSTRUCTORS

PARAMWISE_KEYS = (
    'custom_keys',
    'bias_lr_mult',
    'bias_decay_mult',
    'norm_decay_mult',
    'dwconv_decay_mult',
    'flat_decay_mult',
    'dcn_offset_lr_mult',
    'bypass_duplicate',
)
CUSTOM_KEYS = {'lr_mult', 'decay_mult'}


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class DefocusOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """MMEngine's constructor, without weight decay on parameters that must not shrink to zero.

    Whatever `paramwise_cfg` says, there is none on parameters of at most one dimension (biases,
    norms, D), and none on those that a module names in `no_weight_decay()`: the CLS token, the
    position embedding, and the decay rates and rotary frequencies of the filters. Learning rates
    and the weight decay of all other parameters follow `paramwise_cfg`.

    Args:
        optim_wrapper_cfg: The config of the wrapper, with its `optimizer`.
        paramwise_cfg: As in MMEngine.

    A key of `custom_keys` that no parameter has is told in the log: the bases of MMPretrain name
    parameters of several models.

    Raises:
        ValueError: If `paramwise_cfg` or one of its `custom_keys` has a key that MMEngine would
            ignore.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        unknown = set(paramwise_cfg or ()) - set(PARAMWISE_KEYS)
        if unknown:
            raise ValueError(
                f'paramwise_cfg: unknown key {sorted(unknown)[0]!r}, '
                f'expected some of {", ".join(PARAMWISE_KEYS)}'
            )
        for key, settings in ((paramwise_cfg or {}).get('custom_keys') or {}).items():
            if not isinstance(settings, Mapping) or not CUSTOM_KEYS.issuperset(settings):
                raise ValueError(
                    f'paramwise_cfg.custom_keys.{key}: expected a dict of '
                    f'{" and ".join(sorted(CUSTOM_KEYS))}, got {settings!r}'
                )
        # For an empty paramwise_cfg, MMEngine would put all parameters into one group.
        super().__init__(optim_wrapper_cfg, paramwise_cfg or dict(custom_keys={}))

    def add_params(
        self,
        params: list[dict],
        module: nn.Module,
        prefix: str = '',
        is_dcn_module: int | float | None = None,
    ) -> None:
        """Adds the parameters of a module, in groups of equal settings.

        MMEngine makes a group of every parameter and calls itself for the children. The optimizer
        updates group by group, so hundreds of groups cost more time than their arithmetic.
        """
        super().add_params(params, module, prefix=prefix, is_dcn_module=is_dcn_module)
        if prefix:
            return
        names = [name for name, _ in module.named_parameters()]
        for key in self.paramwise_cfg.get('custom_keys', ()):
            if not any(key in name for name in names):
                print_log(
                    f'paramwise_cfg.custom_keys: no parameter has {key!r} in its name',
                    'current',
                    logging.WARNING,
                )
        undecayed = set(_undecayed(module))
        for group in params:
            if id(group['params'][0]) in undecayed:
                group['weight_decay'] = 0.0
        params[:] = _merge(params)


def _undecayed(model: nn.Module) -> Iterator[int]:
    """Yields the identities of the parameters that must not shrink to zero."""
    yield from (id(param) for param in model.parameters() if param.ndim <= 1)
    for module in model.modules():
        names: Iterable[str] = getattr(module, 'no_weight_decay', tuple)()
        yield from (id(module.get_parameter(name)) for name in names)


def _merge(groups: list[dict]) -> list[dict]:
    """Joins the groups whose settings are equal, in the order of their first parameters."""
    merged: dict[tuple, dict] = {}
    for group in groups:
        settings = tuple(sorted((key, group[key]) for key in group if key != 'params'))
        merged.setdefault(settings, {**group, 'params': []})['params'] += group['params']
    return list(merged.values())
