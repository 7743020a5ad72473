"""A hook that logs the loss over all processes, for the configs of the tests beside it."""

from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.registry import HOOKS


@HOOKS.register_module()
class MeanLoss(Hook):
    """Logs the mean loss of the samples of a step as `train/mean`."""

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        loss = outputs['loss'].detach().double()
        all_reduce(loss, 'mean')
        runner.message_hub.update_scalar('train/mean', loss.item())
