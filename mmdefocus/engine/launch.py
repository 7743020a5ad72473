"""Trains or tests the model of a config, after a look at what it needs."""

from contextlib import nullcontext
from pathlib import Path

from mmengine.config import Config
from mmengine.dist import is_main_process

from ..utils.errors import InputError
from ..utils.files import remove_unfinished
from ..utils.locks import claimed
from .build import build_runner
from .config.changes import resume
from .config.check import check_data, check_load_from, check_pretrained
from .config.schedules import check_schedules
from .data_check import check_datasets, check_first_classes, check_trained_classes
from .distributed import join_processes, one_message
from .hooks.clear_folder_hook import ClearFolderHook
from .hooks.schedule_end_hook import ScheduleEndHook
from .resuming.newest import check_unused, checkpoint_folders


def train(cfg: Config, look_at_data: bool = True, overwrite: bool = False) -> None:
    """Trains the model of a config.

    Args:
        cfg: The config.
        look_at_data: Whether to read and show the data before, see `check_datasets`.
        overwrite: Whether to delete the checkpoints of a former training in the work directory.

    Raises:
        InputError: If schedules, data or checkpoints are missing or do not fit, if the work
            directory holds checkpoints that are neither resumed nor overwritten, or if another
            training runs in it.
    """
    with one_message(cfg):
        join_processes(cfg)
        check_schedules(cfg)
        work_dir = Path(cfg.work_dir)
        with claimed(work_dir) if is_main_process() else nullcontext():
            if cfg.get('resume') and not cfg.get('load_from'):
                resume(cfg, 'auto')
            _check_training(cfg, look_at_data)
            _check_folder(cfg, overwrite)
            runner = build_runner(cfg)
            runner.register_hook(ScheduleEndHook())
            if overwrite:
                runner.register_hook(ClearFolderHook())
            if is_main_process():
                remove_unfinished(work_dir)
            runner.train()


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


def _check_training(cfg: Config, look_at_data: bool) -> None:
    """Checks that data and checkpoints of a training are there and fit each other."""
    loaders = ('train_dataloader', 'val_dataloader')
    check_data(cfg, loaders)
    found = check_datasets(cfg, loaders) if look_at_data else {}
    check_load_from(cfg)
    for part in found.get('train_dataloader', ()) if cfg.get('load_from') else ():
        check = check_trained_classes if cfg.get('resume') else check_first_classes
        check(cfg.load_from, part.where, part.names)
    check_pretrained(cfg)


def _check_folder(cfg: Config, overwrite: bool) -> None:
    """Checks that a training loses nothing that is in its folder, if it is not to overwrite it."""
    folders = checkpoint_folders(cfg, cfg.work_dir)
    source = cfg.get('load_from')
    if overwrite and source and Path(source).parent.resolve() in [f.resolve() for f in folders]:
        raise InputError(
            f'--overwrite: deletes the checkpoints of {Path(source).parent}, and load_from is one '
            f'of them; got load_from={source}; move it or name another folder with --work-dir'
        )
    if not overwrite and not cfg.get('resume'):
        check_unused(folders)
