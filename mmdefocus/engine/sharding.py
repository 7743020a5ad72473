"""Which modules FSDP shards as one."""

from torch import nn

from ..models.layers.block import Block
from ..registry import FUNCTIONS


@FUNCTIONS.register_module()
def wrap_blocks(module: nn.Module, recurse: bool, nonwrapped_numel: int) -> bool:
    """Returns whether FSDP looks into a module, or wraps it: each block is one unit.

    A policy for `auto_wrap_policy`, as PyTorch calls it.

    Args:
        module: The module in question.
        recurse: Whether to look into it is asked, not whether to wrap it.
        nonwrapped_numel: The number of its parameters; it does not matter here.
    """
    return recurse or isinstance(module, Block)
