"""Models behind wrappers of DistributedDataParallel and the like."""

from typing import cast

from mmengine.model import is_model_wrapper
from torch import nn


def unwrapped(model: nn.Module) -> nn.Module:
    """Returns the model inside a wrapper of MMEngine, or the model itself."""
    return cast(nn.Module, model.module) if is_model_wrapper(model) else model
