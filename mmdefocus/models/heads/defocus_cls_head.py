"""The classifier of the CLS token, with an auxiliary loss on the image tokens."""

from typing import Any

import torch
import torch.nn.functional as F
from mmpretrain.evaluation import Accuracy
from mmpretrain.models.heads import ClsHead
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from mmdefocus.registry import MODELS
from mmdefocus.utils.checks import check_choice, check_positive_int

from ..backbones import ClsAndTokens, ClsPerStrip

Features = tuple[ClsAndTokens | ClsPerStrip, ...]
ONE_LABEL = (
    'expected one label an image (the softmax of this head lets labels exclude each other; for '
    "several use MMPretrain's MultiLabelLinearClsHead)"
)
INIT_CFG = {'type': 'TruncNormal', 'layer': 'Linear', 'std': 0.02}


@MODELS.register_module()
class DefocusClsHead(ClsHead):
    """Cross entropy on the CLS token plus weighted cross entropy on the image tokens (Section 4.2).

    The auxiliary classifier sends gradients to tokens that CLS attends to little. Predictions are
    those of the CLS token.

    Args:
        num_classes: Number of classes, K.
        in_channels: Channels of the tokens, C.
        hidden_channels: If given, each classifier is Linear-Tanh-Linear with so many channels
            between, as in the released large model; else it is linear.
        aux_loss_weight: Weight of the auxiliary loss; 0 leaves the auxiliary classifier out. The
            released code halves the sum of the two losses.
        aux_target: 'pooled' classifies the average of the tokens (the paper), taken before the
            last linear layer, so that it equals the average of the tokens' logits with hidden
            channels too; 'tokens' classifies every token and averages the losses (the released
            code).
        loss: A loss of MMPretrain; it is called with logits `(B, K)` and labels `(B,)` or soft
            targets `(B, K)`.
        cal_acc: Whether to log both training accuracies; needs hard labels.
        init_cfg: As in MMEngine.
        early_every: k, to train answers to a part of the image: the loss of CLS is then averaged
            over what CLS is after every k-th strip and after the last. The backbone has
            `out_type='cls_per_strip'`. None trains CLS after the whole image alone. Predictions are
            always those.

    Raises:
        ValueError: If a number is out of its range or `aux_target` unknown.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        hidden_channels: int | None = None,
        aux_loss_weight: float = 1.0,
        aux_target: str = 'pooled',
        loss: dict | None = None,
        cal_acc: bool = False,
        init_cfg: dict | list[dict] | None = None,
        early_every: int | None = None,
    ) -> None:
        check_choice('aux_target', aux_target, ('pooled', 'tokens'))
        check_positive_int('num_classes', num_classes)
        if aux_loss_weight < 0:
            raise ValueError(f'aux_loss_weight: expected 0 or more, got {aux_loss_weight}')
        if early_every is not None:
            check_positive_int('early_every', early_every)
        super().__init__(loss=mmpretrain_loss(loss), cal_acc=cal_acc, init_cfg=init_cfg or INIT_CFG)
        self.own_aux_loss_weight = aux_loss_weight
        self.register_buffer('aux_weight', torch.ones(()), persistent=False)
        self.aux_loss_weight = aux_loss_weight
        self.aux_target = aux_target
        self.early_every = early_every
        self.fc = _classifier(in_channels, hidden_channels, num_classes)
        self.aux_fc = (
            _classifier(in_channels, hidden_channels, num_classes) if aux_loss_weight else None
        )
        self.aux_has_weights = True
        self.knows_targets = False
        self.register_load_state_dict_post_hook(_accept_published_weights)

    @property
    def aux_loss_weight(self) -> float:
        """Weight of the auxiliary loss now; a schedule sets it relative to the own one."""
        return self._aux_loss_weight

    @aux_loss_weight.setter
    def aux_loss_weight(self, weight: float) -> None:
        self._aux_loss_weight = weight
        # The loss reads a tensor: compiled code would be made for one value of a number.
        self.aux_weight.fill_(weight)

    def forward(self, feats: Features) -> Tensor:
        """Returns the logits `(B, K)` of the CLS token from `((cls, tokens),)`."""
        cls_token, _ = unpack_tokens(feats)
        return self.fc(cls_token)

    def forward_early(self, feats: Features) -> Tensor:
        """Returns the logits `(B, A, K)` of CLS after every k-th of S strips and the last.

        Raises:
            ValueError: If the backbone does not give CLS after every strip, or k > S.
        """
        last, every = feats[-1], self.early_every
        if not isinstance(last, ClsPerStrip):
            raise ValueError(
                'early_every: expected CLS after every strip: give the backbone '
                "out_type='cls_per_strip'"
            )
        strips = last.cls_tokens.shape[1]
        if every is None or every > strips:
            raise ValueError(f'early_every: expected 1 to {strips} strips, got {every}')
        read = [*range(every - 1, strips - 1, every), strips - 1]
        return self.fc(last.cls_tokens[:, read])

    def forward_aux(self, feats: Features) -> Tensor:
        """Returns the auxiliary logits: `(B, K)` if pooled, else `(B, L, K)`."""
        _, tokens = unpack_tokens(feats)
        if self.aux_fc is None:
            raise ValueError('aux_loss_weight: expected more than 0 for auxiliary logits')
        if self.aux_target == 'tokens':
            return self.aux_fc(tokens)
        *hidden, last = self.aux_fc if isinstance(self.aux_fc, nn.Sequential) else [self.aux_fc]
        for layer in hidden:
            tokens = layer(tokens)
        return last(tokens.mean(1))

    def loss(self, feats: Features, data_samples: list[DataSample]) -> dict[str, Tensor]:
        """Returns `loss_cls` and `loss_aux`, and with `cal_acc` both accuracies in percent."""
        target = self._target(data_samples)
        logits = self(feats) if self.early_every is None else self.forward_early(feats)
        losses = {'loss_cls': self._mean_loss(logits, target)}
        if self.cal_acc:
            at_end = logits if logits.dim() == 2 else logits[:, -1]
            losses['accuracy_top-1'] = _accuracy(at_end, target)
        if self.aux_fc is None:
            return losses
        aux_logits = self.forward_aux(feats)
        target = self.aux_targets(target)
        if self.cal_acc:
            pooled = aux_logits if aux_logits.dim() == 2 else aux_logits.mean(1)
            losses['aux_accuracy_top-1'] = _accuracy(pooled, target)
        losses['loss_aux'] = self.aux_weight * self._mean_loss(aux_logits, target)
        return losses

    def _mean_loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Returns the loss of logits `(B, K)`, or its average over A answers `(B, A, K)`."""
        if logits.dim() == 3:
            target = target.repeat_interleave(logits.shape[1], dim=0)
            logits = logits.flatten(0, 1)
        return self.loss_module(logits, target)

    def aux_targets(self, target: Tensor) -> Tensor:
        """Returns what the auxiliary classifier learns, of the targets `(B,)` or `(B, K)`."""
        return target

    def predict(
        self, feats: Features, data_samples: list[DataSample | None] | None = None
    ) -> list[DataSample]:
        """Sets `pred_score`, `pred_label` and, with the auxiliary classifier, `aux_pred_label`."""
        predictions = super().predict(feats, data_samples)
        if self.aux_fc is not None and self.aux_has_weights:
            aux_logits = self.forward_aux(feats)
            if aux_logits.dim() == 3:
                aux_logits = F.softmax(aux_logits, dim=-1).mean(1)
            for sample, label in zip(predictions, aux_logits.argmax(1), strict=True):
                sample.set_field(label, 'aux_pred_label')
        return predictions

    def _target(self, data_samples: list[DataSample]) -> Tensor:
        """Returns soft targets `(B, K)`, which batch augmentation makes, or labels `(B,)`.

        Raises:
            ValueError: If an image has several labels, or none.
        """
        for sample in data_samples:
            if 'gt_label' in sample and sample.gt_label.numel() != 1:
                raise ValueError(f'gt_label: {ONE_LABEL}, got {sample.gt_label.tolist()}')
        if 'gt_score' not in data_samples[0]:
            return torch.cat([sample.gt_label for sample in data_samples])
        scores = torch.stack([sample.gt_score for sample in data_samples])
        if not self.knows_targets and not torch.compiler.is_compiling():
            # The first step alone waits for the device.
            sums = scores.sum(1)
            if not torch.allclose(sums, torch.ones_like(sums), atol=1e-3):
                raise ValueError(f'gt_score: {ONE_LABEL}, got sums of {sums.tolist()}')
            self.knows_targets = True
        return scores


def unpack_tokens(feats: Features) -> ClsAndTokens:
    """Returns the CLS token `(B, C)` and the image tokens `(B, L, C)` of the last stage.

    Raises:
        ValueError: If the backbone does not give both.
    """
    last = feats[-1]
    if isinstance(last, ClsPerStrip):
        return ClsAndTokens(last.cls_tokens[:, -1], last.tokens)
    if not isinstance(last, tuple):
        raise ValueError(
            'the head needs the CLS token and the image tokens: give the backbone '
            "out_type='cls_and_tokens'"
        )
    return ClsAndTokens(*last)


def mmpretrain_loss(loss: dict | None) -> dict:
    """Returns the config of a loss whose name means MMPretrain's under every default scope."""
    return {'_scope_': 'mmpretrain', **(loss or {'type': 'CrossEntropyLoss'})}


def _accuracy(logits: Tensor, target: Tensor) -> Tensor:
    """Returns the top-1 accuracy in percent; by default MMPretrain counts no logit below 0."""
    return Accuracy.calculate(logits, target, thrs=(None,))[0][0]


def _classifier(in_channels: int, hidden_channels: int | None, num_classes: int) -> nn.Module:
    if hidden_channels is None:
        return nn.Linear(in_channels, num_classes)
    return nn.Sequential(
        nn.Linear(in_channels, hidden_channels), nn.Tanh(), nn.Linear(hidden_channels, num_classes)
    )


def _accept_published_weights(head: DefocusClsHead, incompatible_keys: Any) -> None:
    """Accepts weights published for inference, which lack the auxiliary classifier.

    The auxiliary classifier then keeps its initial values: right for training, and left out of
    predictions.
    """
    missing = incompatible_keys.missing_keys
    present = [key for key in missing if 'aux_fc.' not in key]
    head.aux_has_weights = len(present) == len(missing)
    missing[:] = present
