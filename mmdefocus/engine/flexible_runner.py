"""The runner of sharded trainings: FSDP and DeepSpeed."""

from typing import Any, cast

import torch
from mmengine._strategy import BaseStrategy, DDPStrategy, DeepSpeedStrategy, FSDPStrategy
from mmengine.hooks import EMAHook
from mmengine.model import BaseModule, is_model_wrapper
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.runner import FlexibleRunner, load_state_dict
from torch import nn
from torch.distributed.fsdp import FullyShardedDataParallel

from ..checkpoints.checks import (
    Tolerance,
    check_file,
    checked_load,
    pretrained_files,
    resolve_aliases,
)
from ..checkpoints.mmengine_loader import load_from_mmdefocus
from ..utils.errors import InputError
from .checked import Checked
from .resuming.runner import ExactResume


class CheckedFlexibleRunner(Checked, ExactResume, FlexibleRunner):
    """MMEngine's runner with strategies, with the checks of `CheckedRunner`.

    A strategy cuts the parameters to pieces, in which names and shapes are no longer seen.
    Therefore weights are tried on the whole model, before the strategy gets it.
    """

    model: Any  # a config until a strategy has built it
    optim_wrapper: Any
    _has_begun = False

    def train(self) -> nn.Module:
        """Trains.

        Raises:
            InputError: If a checkpoint does not fit the model.
        """
        self._check_strategy()
        self._check_weights('nothing' if self._resume else 'partial')
        place_on_cpu(self.strategy)
        if isinstance(self.strategy, FSDPStrategy):
            # Once in pieces, every parameter is a vector, and none would have weight decay.
            self.optim_wrapper = build_optim_wrapper(self.model, self.optim_wrapper)
        return super().train()

    def test(self) -> dict[str, float]:
        """Tests and returns the metrics.

        Raises:
            InputError: If the checkpoint does not fit the model.
        """
        self._check_weights('nothing')
        return super().test()

    def load_or_resume(self) -> None:
        """Loads the checkpoint, if there is one, and only then writes the config.

        Hooks begin before that, as they do in MMEngine's other runner: `EMAHook` has no averages
        to load into until then. DeepSpeed loads nothing itself, since it would execute the file; it
        has been given a model with the weights.
        """
        if isinstance(self.model, FullyShardedDataParallel) and self.optim_wrapper is not None:
            clip_whole_gradients(self.optim_wrapper, self.model)
        self.call_hook('before_run')
        if not isinstance(self.strategy, DeepSpeedStrategy):
            super().load_or_resume()
        FlexibleRunner.dump_config(self)

    def call_hook(self, fn_name: str, **kwargs: Any) -> None:
        """Calls the hooks, `before_run` once."""
        if fn_name == 'before_run':
            if self._has_begun:
                return
            self._has_begun = True
        super().call_hook(fn_name, **kwargs)

    def _check_strategy(self) -> None:
        """Refuses what would be trained and then not be saved, or not be found again."""
        is_fsdp = isinstance(self.strategy, FSDPStrategy)
        if is_fsdp and not self.strategy._is_full_state_dict():
            raise InputError(
                "strategy.state_dict_cfg: expected 'full', got another; checkpoints in pieces "
                'cannot be resumed'
            )
        is_deepspeed = isinstance(self.strategy, DeepSpeedStrategy)
        if is_deepspeed and self._resume:
            raise InputError(
                f'checkpoint {self._load_from}: a training with DeepSpeed cannot be resumed; start '
                'from weights alone: load_from without resume'
            )
        if (is_fsdp or is_deepspeed) and any(isinstance(hook, EMAHook) for hook in self.hooks):
            raise InputError(
                f'custom_hooks: EMAHook averages whole weights, and {type(self.strategy).__name__} '
                'has pieces of them; leave it out'
            )

    def _check_weights(self, tolerate: Tolerance) -> None:
        self.model = model = self.strategy.build_model(self.model)
        if is_model_wrapper(model):
            return
        resolve_aliases(model)
        for module, path in pretrained_files(model):
            with checked_load(module, path, 'extra'):
                cast(BaseModule, module).init_weights()
        path = self._load_from
        if path is not None:
            check_file(path, resume=bool(self._resume))
            with checked_load(model, path, tolerate):
                load_state_dict(model, load_from_mmdefocus(path)['state_dict'])


def place_on_cpu(strategy: BaseStrategy) -> None:
    """Lets a strategy wrap the model for a CPU if there is no GPU, of which MMEngine names one."""
    if torch.cuda.is_available() or not isinstance(strategy, DDPStrategy):
        return
    if isinstance(strategy, FSDPStrategy):
        place = dict(type='MMFullyShardedDataParallel', device_id=torch.device('cpu'))
        # PyTorch would not copy what is on the CPU, and then free it.
        for kept in (strategy.state_dict_config, strategy.optim_state_dict_config):
            kept.offload_to_cpu = False
    else:
        place = dict(type='MMDistributedDataParallel', device_ids=None)
    strategy.model_wrapper = {**place, **(strategy.model_wrapper or {})}


def clip_whole_gradients(wrapper: OptimWrapper, model: FullyShardedDataParallel) -> None:
    """Lets an optimizer wrapper clip by the norm over all processes, not over one's own pieces.

    Raises:
        InputError: If single values are to be clipped, which FSDP has no function for.
    """
    if not wrapper.clip_grad_kwargs:
        return
    if wrapper.clip_func is not nn.utils.clip_grad_norm_:
        raise InputError('optim_wrapper.clip_grad.type: expected norm with FSDP, got value')

    def clip(params: list[nn.Parameter], **limits: float) -> torch.Tensor:
        return model.clip_grad_norm_(**limits)

    wrapper.clip_func = clip
