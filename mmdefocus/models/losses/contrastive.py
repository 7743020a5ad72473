"""Contrastive losses of image and text features, computed by open_clip."""

import math
from abc import ABC, abstractmethod

import torch
from mmengine.dist import get_rank, get_world_size
from torch import Tensor, nn

from mmdefocus.ops.numerics import wide_dtype
from mmdefocus.registry import MODELS
from mmdefocus.utils.captions import open_clip
from mmdefocus.utils.checks import check_positive


class ContrastiveLoss(nn.Module, ABC):
    """Pulls the features of a pair together, and those of different pairs apart.

    All pairs of all processes are compared. Gradients flow into the features of the other
    processes, at the scale that DistributedDataParallel expects: the average of the gradients of
    all processes is the gradient of one process with the whole batch. Every process needs equally
    many pairs.

    Args:
        init_scale: Initial factor of the cosines, 1 / temperature; its logarithm is learned.
        max_scale: Largest factor; a step of the optimizer beyond it, or below 1, is taken back.
        init_bias: Initial number that is added to the scaled cosines; None for a loss without.
        local: Whether a process compares its own pairs with all, so that its logits are a part of
            the matrix, or computes the whole matrix, as every other one does.

    Raises:
        ValueError: If a factor is not positive.
    """

    def __init__(
        self, init_scale: float, max_scale: float, init_bias: float | None, local: bool
    ) -> None:
        super().__init__()
        check_positive('init_scale', init_scale)
        check_positive('max_scale', max_scale)
        self.max_scale = max_scale
        self.local = local
        self.logit_scale = nn.Parameter(torch.tensor(math.log(init_scale)))
        self.logit_bias = None if init_bias is None else nn.Parameter(torch.tensor(init_bias))

    def scale(self) -> Tensor:
        """Returns the factor of the cosines, a scalar."""
        with torch.no_grad():
            self.logit_scale.clamp_(0, math.log(self.max_scale))
        return self.logit_scale.exp()

    def forward(self, image_features: Tensor, text_features: Tensor) -> Tensor:
        """Returns the loss, a scalar, in float32 or wider.

        Args:
            image_features: Of length 1, `(B, E)`.
            text_features: Of length 1, `(B, E)`, in the order of their images.
        """
        dtype = wide_dtype(image_features.dtype)
        with torch.autocast(image_features.device.type, enabled=False):
            return self.compare(image_features.to(dtype), text_features.to(dtype))

    @abstractmethod
    def compare(self, image_features: Tensor, text_features: Tensor) -> Tensor:
        """Returns the loss of two `(B, E)` without autocast."""


@MODELS.register_module()
class SoftmaxContrastiveLoss(ContrastiveLoss):
    """The loss of CLIP: cross entropy over all texts of an image, and over all images of a text.

    Args:
        init_scale: See `ContrastiveLoss`; by default as in CLIP.
        max_scale: See `ContrastiveLoss`.
        local: See `ContrastiveLoss`.
    """

    def __init__(
        self, init_scale: float = 1 / 0.07, max_scale: float = 100.0, local: bool = True
    ) -> None:
        super().__init__(init_scale, max_scale, None, local)

    def compare(self, image_features: Tensor, text_features: Tensor) -> Tensor:
        """Returns the loss of two `(B, E)`."""
        loss = open_clip().loss.ClipLoss(
            local_loss=self.local,
            gather_with_grad=True,
            rank=get_rank(),
            world_size=get_world_size(),
        )
        return loss(image_features, text_features, self.scale())


@MODELS.register_module()
class SigmoidContrastiveLoss(ContrastiveLoss):
    """The loss of SigLIP: each image and each text are a pair or are not.

    Args:
        init_scale: See `ContrastiveLoss`; by default as in SigLIP.
        max_scale: See `ContrastiveLoss`.
        init_bias: See `ContrastiveLoss`; by default as in SigLIP.
        local: Whether texts go from neighbour to neighbour, so that a process holds those of two
            others at a time, or are gathered.
    """

    def __init__(
        self,
        init_scale: float = 10.0,
        max_scale: float = 100.0,
        init_bias: float = -10.0,
        local: bool = True,
    ) -> None:
        super().__init__(init_scale, max_scale, init_bias, local)

    def compare(self, image_features: Tensor, text_features: Tensor) -> Tensor:
        """Returns the loss of two `(B, E)`."""
        loss = open_clip().loss.SigLipLoss(
            rank=get_rank(),
            world_size=get_world_size(),
            dist_impl='bidir' if self.local else 'gather',
        )
        return loss(image_features, text_features, self.scale(), self.logit_bias)
