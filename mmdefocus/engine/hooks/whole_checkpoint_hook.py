"""Deletes an old checkpoint only when the new one is on the disk."""

from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.fileio import BaseStorageBackend
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from ...registry import HOOKS
from ..resuming.newest import point_to

OUTDATED = 'outdated_checkpoints'


@HOOKS.register_module()
class WholeCheckpointHook(CheckpointHook):
    """MMEngine's `CheckpointHook` with the order turned round: write, then delete. Same arguments.

    The runners of this package put it in the place of MMEngine's. The new checkpoint says what is
    to be deleted, so that the training that resumes it does so if a kill has come between.
    """

    file_backend: Any
    best_ckpt_path: str | None
    best_ckpt_path_dict: dict[str, str | None]

    def before_train(self, runner: Runner) -> None:
        """Does as MMEngine, and deletes what an interrupted training has left."""
        super().before_train(runner)
        # MMEngine's are paths of the folder in which the training was, which may be elsewhere now.
        if self.save_best is not None and len(self.key_indicators) == 1:
            self.best_ckpt_path = self.best_ckpt_path and self._here(self.best_ckpt_path)
        elif self.save_best is not None:
            paths = self.best_ckpt_path_dict.items()
            self.best_ckpt_path_dict = {key: path and self._here(path) for key, path in paths}
        self.file_backend = _LateRemovals(self.file_backend)
        for name in runner.message_hub.runtime_info.get(OUTDATED, ()):
            self.file_backend.remove(self._here(name))
        self._remove_outdated(runner)

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        if self.max_keep_ckpts > 0 and list(self.keep_ckpt_ids)[-1:] != [step]:
            if len(self.keep_ckpt_ids) == self.max_keep_ckpts:
                outdated = self.filename_tmpl.format(self.keep_ckpt_ids.popleft())
                self.file_backend.remove(self._here(outdated))
            self.keep_ckpt_ids.append(step)
            runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self._here(name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        self._note_outdated(runner)
        runner.save_checkpoint(
            self.out_dir,
            name,
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        if is_main_process():
            point_to(self.last_ckpt, runner.work_dir)
        self._remove_outdated(runner)

    def _save_best_checkpoint(self, runner: Runner, metrics: dict[str, Any]) -> None:
        super()._save_best_checkpoint(runner, metrics)
        self._remove_outdated(runner)

    def _here(self, path: str) -> str:
        return self.file_backend.join_path(self.out_dir, Path(path).name)

    def _note_outdated(self, runner: Runner) -> None:
        names = [Path(path).name for path in self.file_backend.removals]
        runner.message_hub.update_info(OUTDATED, names)

    def _remove_outdated(self, runner: Runner) -> None:
        """Deletes what is outdated, unless it has just been written anew."""
        best = getattr(self, 'best_ckpt_path_dict', {}).values()
        current = {self.last_ckpt, getattr(self, 'best_ckpt_path', None), *best}
        self.file_backend.remove_all(except_for=current)
        self._note_outdated(runner)


class _LateRemovals:
    """A file backend that removes nothing until it is told to.

    Args:
        backend: The backend that removes.
    """

    def __init__(self, backend: BaseStorageBackend) -> None:
        self._backend = backend
        self.removals: list[str] = []
        self.join_path = backend.join_path
        self.isfile = backend.isfile
        self.isdir = backend.isdir

    def remove(self, path: str) -> None:
        """Notes a file to be removed."""
        self.removals.append(path)

    rmtree = remove

    def remove_all(self, except_for: set[str | None]) -> None:
        """Removes what was noted, in the process that writes."""
        for path in self.removals if is_main_process() else ():
            if path in except_for:
                continue
            if self.isfile(path):
                self._backend.remove(path)
            elif self.isdir(path):  # as DeepSpeed writes them
                self._backend.rmtree(path)
        self.removals.clear()
