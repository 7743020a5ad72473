"""Mixed precision in bfloat16, on a CPU too."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
from mmengine.runner.amp import autocast
from torch import nn


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(OptimWrapper):
    """Runs the forward pass under bfloat16 autocast, on any device.

    MMEngine's `AmpOptimWrapper` refuses a CPU. bfloat16 has the exponents of float32, so that
    the loss needs no scaling. Arguments are those of `OptimWrapper`.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Adds autocast to the context in which the model computes its losses."""
        with super().optim_context(model), autocast(dtype=torch.bfloat16):
            yield
