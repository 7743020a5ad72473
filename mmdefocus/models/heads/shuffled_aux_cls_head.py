"""A control for the auxiliary loss: the same gradient noise without its information."""

import torch
from torch import Tensor

from mmdefocus.registry import MODELS

from .defocus_cls_head import DefocusClsHead


@MODELS.register_module()
class ShuffledAuxClsHead(DefocusClsHead):
    """`DefocusClsHead` whose auxiliary classifier learns the labels of other images.

    The targets of a batch are permuted anew in every step, so that they keep their frequencies and
    tell nothing. Where this head gains as much as `DefocusClsHead`, the auxiliary labels are not
    what helps. Arguments are those of `DefocusClsHead`.
    """

    def aux_targets(self, target: Tensor) -> Tensor:
        """Returns the targets of the batch, `(B,)` or `(B, K)`, in another order."""
        return target[torch.randperm(len(target)).to(target.device)]
