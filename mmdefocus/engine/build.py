"""The runner of a config, built for one process or for many."""

from mmengine.config import Config
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from .distributed import join_processes
from .runner import CheckedRunner


def build_runner(cfg: Config) -> Runner:
    """Returns the runner that `runner_type` names, `CheckedRunner` by default."""
    join_processes(cfg)
    return RUNNERS.build(cfg) if 'runner_type' in cfg else CheckedRunner.from_cfg(cfg)
