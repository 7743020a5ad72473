"""Trains or tests the model of a config, after a look at what it needs."""

from mmengine.config import Config

from .build import build_runner
from .config.check import check_data, check_load_from, check_pretrained
from .config.schedules import check_schedules
from .data_check import check_datasets, check_trained_classes
from .distributed import join_processes, one_message


def train(cfg: Config, look_at_data: bool = True) -> None:
    """Trains the model of a config.

    Args:
        cfg: The config.
        look_at_data: Whether to read and show the data before, see `check_datasets`.

    Raises:
        InputError: If schedules, data or checkpoints are missing or do not fit.
    """
    loaders = ('train_dataloader', 'val_dataloader')
    with one_message(cfg):
        join_processes(cfg)
        check_schedules(cfg)
        check_data(cfg, loaders)
        if look_at_data:
            check_datasets(cfg, loaders)
        check_load_from(cfg)
        check_pretrained(cfg)
        build_runner(cfg).train()


def test(cfg: Config, look_at_data: bool = True) -> dict[str, float]:
    """Tests the model of a config and returns its metrics.

    Args:
        cfg: The config.
        look_at_data: Whether to read and show the data before, see `check_datasets`, and to
            compare its classes with those of the checkpoint.

    Raises:
        InputError: If data or checkpoint are missing or do not fit.
    """
    with one_message(cfg):
        join_processes(cfg)
        check_data(cfg, ('test_dataloader',))
        check_load_from(cfg)
        found = check_datasets(cfg, ('test_dataloader',)) if look_at_data else {}
        for part in found.get('test_dataloader', ()):
            check_trained_classes(cfg.load_from, part.where, part.names)
        return build_runner(cfg).test()
