"""The classifiers that read the average token, for the ablation of the loss (Table 4c)."""

from typing import ClassVar

import torch
from mmpretrain.models.heads import LinearClsHead
from torch import Tensor

from mmdefocus.registry import MODELS

from .defocus_cls_head import INIT_CFG, Features, mmpretrain_loss, unpack_tokens


@MODELS.register_module()
class AverageClsHead(LinearClsHead):
    """A linear classifier of the average of the image tokens ('avg' in Table 4c).

    Args:
        num_classes: Number of classes, K.
        in_channels: Channels of the tokens, C.
        loss: A loss of MMPretrain; cross entropy by default.
        cal_acc: Whether to log the training accuracy; needs hard labels.
        init_cfg: As in MMEngine.

    Raises:
        ValueError: If a number is not positive, or the backbone gives no image tokens.
    """

    vectors: ClassVar[int] = 1  # of C channels each, side by side in what is classified

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        loss: dict | None = None,
        cal_acc: bool = False,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(
            num_classes,
            self.vectors * in_channels,
            init_cfg=init_cfg or INIT_CFG,
            loss=mmpretrain_loss(loss),
            cal_acc=cal_acc,
        )

    def pre_logits(self, feats: Features) -> Tensor:
        """Returns the average token, `(B, C)`, from `((cls, tokens),)`."""
        _, tokens = unpack_tokens(feats)
        return tokens.mean(1)


@MODELS.register_module()
class ClsAndAverageClsHead(AverageClsHead):
    """A linear classifier of CLS and the average token, side by side ('<CLS>+avg' in Table 4c).

    Arguments are those of `AverageClsHead`; its linear layer reads 2 C channels.
    """

    vectors: ClassVar[int] = 2

    def pre_logits(self, feats: Features) -> Tensor:
        """Returns CLS beside the average token, `(B, 2 C)`, from `((cls, tokens),)`."""
        cls_token, tokens = unpack_tokens(feats)
        return torch.cat((cls_token, tokens.mean(1)), dim=-1)
