"""The life of the auxiliary classifier: weighed in training, watched, and not published."""

from pathlib import Path
from typing import Any

import torch
from mmengine.dist import all_reduce, master_only
from mmengine.hooks import Hook
from mmengine.hooks.hook import DATA_BATCH as Batch
from mmengine.runner import Runner
from torch import nn

from mmdefocus.checkpoints.files import write_checkpoint
from mmdefocus.registry import HOOKS

from ...checkpoints.checks import inference_checkpoint
from .linear_schedule import has_epochs, linear_schedule


@HOOKS.register_module()
class AuxHeadHook(Hook):
    """Schedules the weight of the auxiliary loss, logs its top-1 and publishes weights without it.

    In validation the top-1 accuracies of the CLS token and of the auxiliary classifier are logged
    as `accuracy/cls_top1` and `accuracy/aux_top1`. After training, `inference.pth` in the
    work directory holds the weights of the last checkpoint (the averaged ones, where EMA is used)
    without optimizer and auxiliary classifier.

    The weights are factors of the head's own `aux_loss_weight`. An iteration-based loop changes
    them every iteration.

    Args:
        start: Factor of the auxiliary loss in the first epoch, 0 or more.
        end: Factor in the last epoch; linear between.

    Raises:
        ValueError: If a weight is negative, or the model has no auxiliary classifier.
    """

    def __init__(self, start: float = 1.0, end: float = 1.0) -> None:
        if min(start, end) < 0:
            raise ValueError(
                f'AuxHeadHook: start and end must be weights of 0 or more, got {start} and {end}'
            )
        self.start = start
        self.end = end
        self._counts = torch.zeros(3)

    def before_train(self, runner: Runner) -> None:
        _aux_head(runner.model)

    def before_train_epoch(self, runner: Runner) -> None:
        if has_epochs(runner):
            self._set_weight(runner, runner.epoch, runner.max_epochs)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Batch = None) -> None:
        if not has_epochs(runner):
            self._set_weight(runner, runner.iter, runner.max_iters)

    def _set_weight(self, runner: Runner, step: int, num_steps: int) -> None:
        head = _aux_head(runner.model)
        factor = linear_schedule(self.start, self.end, step, num_steps)
        head.aux_loss_weight = factor * head.own_aux_loss_weight
        runner.message_hub.update_scalar('train/aux_weight', head.aux_loss_weight)

    def before_val_epoch(self, runner: Runner) -> None:
        self._counts = torch.zeros(3)

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: Batch = None, outputs: list | None = None
    ) -> None:
        for sample in outputs or ():
            if 'aux_pred_label' in sample:
                truth = sample.gt_label
                hits = (truth == sample.pred_label).any(), (truth == sample.aux_pred_label).any()
                self._counts += torch.tensor([*hits, 1.0])

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        all_reduce(self._counts)
        main, auxiliary, total = self._counts.tolist()
        if total:
            runner.logger.info(
                f'top-1 of the CLS token {100 * main / total:.2f} %, '
                f'of the auxiliary classifier {100 * auxiliary / total:.2f} %'
            )
            runner.message_hub.update_scalar('val/accuracy/cls_top1', 100 * main / total)
            runner.message_hub.update_scalar('val/accuracy/aux_top1', 100 * auxiliary / total)

    @master_only
    def after_train(self, runner: Runner) -> None:
        last = runner.message_hub.get_info('last_ckpt', None)
        if last is not None:
            destination = Path(runner.work_dir) / 'inference.pth'
            write_checkpoint(inference_checkpoint(last), destination)


def _aux_head(model: nn.Module) -> Any:
    """Returns the head, whose weight of the loss is a float among its attributes."""
    for module in model.modules():
        if getattr(module, 'aux_fc', None) is not None:
            return module
    raise ValueError(
        'AuxHeadHook: the model has no auxiliary classifier; give DefocusClsHead a '
        'positive aux_loss_weight or remove the hook'
    )
