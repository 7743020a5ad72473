"""Trains or tests the model of a config, after a look at what it needs."""

from mmengine.config import Config

from .build import build_runner
from .config.check import check_data, check_load_from, check_pretrained
from .distributed import join_processes, one_message


def train(cfg: Config) -> None:
    """Trains the model of a config.

    Raises:
        InputError: If data or checkpoints are missing or do not fit.
    """
    with one_message(cfg):
        join_processes(cfg)
        check_data(cfg, ('train_dataloader', 'val_dataloader'))
        check_load_from(cfg)
        check_pretrained(cfg)
        build_runner(cfg).train()


def test(cfg: Config) -> dict[str, float]:
    """Tests the model of a config and returns its metrics.

    Raises:
        InputError: If data or checkpoint are missing or do not fit.
    """
    with one_message(cfg):
        join_processes(cfg)
        check_data(cfg, ('test_dataloader',))
        check_load_from(cfg)
        return build_runner(cfg).test()
