"""FSDP: which modules are sharded as one, and the strategy that does it with today's PyTorch."""

import inspect

from mmengine._strategy import FSDPStrategy
from mmengine.optim import OptimWrapper
from torch import nn
from torch.distributed.fsdp import FullyShardedDataParallel

from ..models.layers.block import Block
from ..registry import FUNCTIONS, STRATEGIES


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


@STRATEGIES.register_module()
class DefocusFSDPStrategy(FSDPStrategy):
    """MMEngine's FSDP strategy, whose calls of PyTorch are those of PyTorch before 2.1.

    `CheckedFlexibleRunner` builds the optimizer on the whole model: once in pieces, every parameter
    is a vector, and none would have weight decay. Arguments are those of `FSDPStrategy`.
    """

    def build_optim_wrapper(self, optim_wrapper: OptimWrapper, model: nn.Module) -> OptimWrapper:
        """Exchanges the parameters of a new optimizer for their pieces, and keeps its groups."""
        whole = optim_wrapper.optimizer
        pieces = {
            name.replace('_fsdp_wrapped_module.', ''): piece
            for name, piece in model.named_parameters()
        }
        groups = [
            {**group, 'params': [pieces[self.id_to_name[id(param)]] for param in group['params']]}
            for group in whole.param_groups
        ]
        arguments = inspect.signature(type(whole)).parameters
        defaults = {key: value for key, value in whole.defaults.items() if key in arguments}
        optim_wrapper.optimizer = type(whole)(groups, **defaults)
        return optim_wrapper

    def model_state_dict(self) -> dict:
        """Returns the weights as plain tensors, without what FSDP notes on them."""
        return {name: weight.detach() for name, weight in super().model_state_dict().items()}

    def optim_state_dict(self) -> dict:
        """Returns the state of the optimizer, whole in the first process if it is kept whole."""
        return FullyShardedDataParallel.optim_state_dict(self.model, self.optim_wrapper.optimizer)

    def load_optim_state_dict(self, state_dict: dict) -> None:
        """Loads what `optim_state_dict` has returned."""
        optimizer = self.optim_wrapper.optimizer
        pieces = FullyShardedDataParallel.optim_state_dict_to_load(
            model=self.model, optim=optimizer, optim_state_dict=state_dict
        )
        optimizer.load_state_dict(pieces)
