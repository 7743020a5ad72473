"""Deletes the checkpoints of a former training."""

from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ...registry import HOOKS
from ..resuming.newest import checkpoint_folders, delete_checkpoints


@HOOKS.register_module()
class ClearFolderHook(Hook):
    """Deletes what a former training has left, when the new one has been built and loaded."""

    priority = 'VERY_HIGH'

    @master_only
    def before_train(self, runner: Runner) -> None:
        """Deletes the checkpoints in the folders of the training."""
        delete_checkpoints(checkpoint_folders(runner.cfg, runner.work_dir))
