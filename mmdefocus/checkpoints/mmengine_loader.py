"""Lets MMEngine read checkpoints with this project's reader, wherever it loads one by itself.

MMEngine's own loaders execute some files, and fall back to executing all others. Both ways lead
through its `CheckpointLoader`: the runner, `init_cfg` of `Pretrained`, backbones with a loader of
their own, and the inferencers of mmdet and mmpretrain.
"""

import copy
from collections.abc import Mapping
from typing import Any

from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader

from ..utils.checkpoint_meta import meta_of
from .files import read_checkpoint
from .pickle_names import History
from .weights import check_numbers, weights_of

WEIGHTS = ('state_dict', 'ema_state_dict', 'model', 'model_ema')
# Texts that MMEngine would run as the program of a config, and where they are.
PROGRAMS = (('meta', 'config'), ('meta', 'cfg'), ('runtime_info', 'cfg'))


def register() -> None:
    """Makes `load_from_mmdefocus` the loader of every kind of path that MMEngine knows."""
    for prefix in list(CheckpointLoader._schemes):
        CheckpointLoader.register_scheme(prefix, load_from_mmdefocus, force=True)


def load_from_mmdefocus(filename: str, map_location: object = None) -> dict[str, Any]:
    """Reads a checkpoint for MMEngine.

    Args:
        filename: A local file, or an address, which is fetched.
        map_location: Not needed: the tensors are in CPU memory, and PyTorch copies them to where
            the parameters are.

    Returns:
        The checkpoint, with weights under 'state_dict', logs as MMEngine's HistoryBuffer, and
        without the text of a config, which MMEngine would execute.

    Raises:
        InputError: If the file cannot be read, its meta is no dict, or a weight is not finite.
    """
    checkpoint = read_checkpoint(filename)
    meta_of(checkpoint, filename)
    if not any(isinstance(checkpoint.get(key), Mapping) for key in WEIGHTS):
        # What else DeepSpeed's file holds is of a training that cannot be resumed.
        checkpoint = {'state_dict': weights_of(checkpoint, filename)}
    for key in WEIGHTS:
        if isinstance(checkpoint.get(key), Mapping):
            check_numbers(weights_of({'state_dict': checkpoint[key]}, filename), filename)
    if filename.startswith('mmcls://'):
        return {'state_dict': _backbone(checkpoint['state_dict'])}
    # What is kept after loading does not depend on the file any more.
    kept = {key: copy.deepcopy(part) for key, part in checkpoint.items() if key not in WEIGHTS}
    hub = kept.get('message_hub')
    for owner, name in PROGRAMS:
        part = kept.get(owner) or (isinstance(hub, dict) and hub.get(owner))
        if isinstance(part, dict):
            part.pop(name, None)
    if isinstance(hub, dict) and isinstance(hub.get('log_scalars'), dict):
        hub['log_scalars'] = {name: _buffer(log) for name, log in hub['log_scalars'].items()}
    return {**checkpoint, **kept}


def _buffer(log: object) -> object:
    if not isinstance(log, History):
        return log
    return HistoryBuffer(log.values, log.counts, log.max_length)


def _backbone(weights: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the weights of a classifier's backbone, under the names of the backbone itself."""
    prefix = 'backbone.'
    return {name.removeprefix(prefix): w for name, w in weights.items() if name.startswith(prefix)}
