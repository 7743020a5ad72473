"""Suppression of overlapping boxes, as mmcv's compiled functions do it."""

from collections.abc import Callable

import torch
from torch import Tensor
from torchvision.ops import nms as torchvision_nms

# what an overlap leaves of a score, by mmcv's number of the method: naive, linear, Gaussian
_DECAYS: tuple[Callable[[Tensor, float, float], Tensor], ...] = (
    lambda iou, threshold, sigma: (iou < threshold).to(iou.dtype),
    lambda iou, threshold, sigma: torch.where(iou < threshold, 1.0, 1 - iou),
    lambda iou, threshold, sigma: torch.exp(-iou.square() / sigma),
)


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int = 0) -> Tensor:
    """Returns the indices of the boxes that no better one overlaps by more than a threshold.

    Args:
        boxes: x1, y1, x2, y2, `(N, 4)`, on any device.
        scores: `(N,)`.
        iou_threshold: In [0, 1].
        offset: What x2 - x1 lacks to be a width, 0 or 1 pixels.

    Returns:
        `(K,)`, int64, by falling score.
    """
    if offset:
        boxes = boxes + boxes.new_tensor([0, 0, offset, offset])
    return torchvision_nms(boxes, scores, iou_threshold)


def softnms(
    boxes: Tensor,
    scores: Tensor,
    dets: Tensor,
    iou_threshold: float,
    sigma: float,
    min_score: float,
    method: int,
    offset: int,
) -> Tensor:
    """Lowers the scores of boxes that overlap a better one (Soft-NMS, arXiv 1704.04503).

    Args:
        boxes: x1, y1, x2, y2, `(N, 4)`, on the CPU.
        scores: `(N,)`.
        dets: Is overwritten: its first K rows become boxes and lowered scores, `(N, 5)`.
        iou_threshold: In [0, 1].
        sigma: The width of the Gaussian.
        min_score: A box whose score falls below is dropped.
        method: 0 drops, 1 lowers linearly, 2 by a Gaussian.
        offset: What x2 - x1 lacks to be a width, 0 or 1 pixels.

    Returns:
        The indices of the K boxes that stay, int64, by falling score.
    """
    scores = scores.clone()
    waiting = torch.ones_like(scores, dtype=torch.bool)
    kept: list[int] = []
    while waiting.any():
        best = int(scores.masked_fill(~waiting, -torch.inf).argmax())
        dets[len(kept), :4], dets[len(kept), 4] = boxes[best], scores[best]
        kept.append(best)
        waiting[best] = False
        decay = _DECAYS[method](_overlaps(boxes[best], boxes, offset), iou_threshold, sigma)
        scores = torch.where(waiting, scores * decay, scores)
        waiting &= scores >= min_score
    return torch.tensor(kept, dtype=torch.int64)


def nms_match(dets: Tensor, iou_threshold: float) -> list[list[int]]:
    """Returns each box that stays, followed by those that it suppresses, by falling score.

    Args:
        dets: x1, y1, x2, y2, score, `(N, 5)`, on the CPU.
        iou_threshold: A box that overlaps so much or more is suppressed.
    """
    boxes, order = dets[:, :4], dets[:, 4].argsort(descending=True)
    groups = []
    while len(order):
        first, others = order[0], order[1:]
        suppressed = _overlaps(boxes[first], boxes[others]) >= iou_threshold
        groups.append([int(first), *others[suppressed].tolist()])
        order = others[~suppressed]
    return groups


def _overlaps(box: Tensor, boxes: Tensor, offset: int = 0) -> Tensor:
    """Returns the intersection over union of `(4,)` with each of `(N, 4)`."""
    inside = torch.cat([torch.max(box[:2], boxes[:, :2]), torch.min(box[2:], boxes[:, 2:])], 1)
    shared = _sides(inside, offset).clamp(min=0).prod(1)
    return shared / (_sides(box, offset).prod() + _sides(boxes, offset).prod(1) - shared)


def _sides(boxes: Tensor, offset: int) -> Tensor:
    return boxes[..., 2:] - boxes[..., :2] + offset
