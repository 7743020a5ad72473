"""The runner of a config, built for one process or for many."""

from mmengine.config import Config
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from ..utils.errors import InputError
from .distributed import join_processes
from .flexible_runner import CheckedFlexibleRunner
from .runner import CheckedRunner

CHECKED = {'Runner': CheckedRunner, 'FlexibleRunner': CheckedFlexibleRunner}


def build_runner(cfg: Config) -> Runner | CheckedFlexibleRunner:
    """Returns the runner that `runner_type` names, `CheckedRunner` by default.

    Raises:
        InputError: If no runner of that name is known.
    """
    join_processes(cfg)
    name = cfg.get('runner_type', 'Runner')
    runner = CHECKED.get(name) or RUNNERS.get(name)
    if runner is None:
        raise InputError(f'runner_type: expected one of {", ".join(CHECKED)}, got {name!r}')
    return runner.from_cfg(cfg)
