"""Receptive fields, attention maps and gradient maps, as Appendix B.1 defines them.

Layer l is a whole block with its residual, from X_l to X_{l+1}, counted from 1. Models are measured
in evaluation, in float32 and one image at a time; no mode and no gradient of a weight is changed.
All maps are in the order in which the model reads its image tokens, padding included; `on_grid`
undoes that.
"""

from collections.abc import Callable
from typing import Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import backbone_of, layer_inputs, layers_of, measured

TOKENS_AT_ONCE = 8192  # copies of the sequence times their tokens, in one pass through a block


class HasAuxiliary(Protocol):
    """A head with an auxiliary classifier, as `DefocusClsHead`, which needs MMPretrain."""

    aux_loss_weight: float

    def forward_aux(self, feats: tuple) -> Tensor:
        """Returns the auxiliary logits."""


Progress = Callable[[int, int], None]  # called with what is done and what there is to do


def receptive_field(model: nn.Module, images: Tensor, layer: int) -> Tensor:
    """Returns how much the CLS token after a layer depends on each image token before it.

    `RF[k] = ‖∂ ‖X_{l+1}[CLS]‖₂ / ∂ X_l[k]‖₂`, divided by its maximum.

    Args:
        model: A backbone of this package, MMPretrain's `VisionTransformer`, or a classifier or
            detector with one of them.
        images: `(B, 3, H, W)`, normalised as the model expects them.
        layer: From 1 to the number of layers.

    Returns:
        `(B, L)`, in [0, 1].

    Raises:
        ValueError: If there is no such layer, or the model is another one.
    """
    layers = layers_of(model)
    block, inputs = layers.block(layer), layer_inputs(model, images, layer)
    fields = []
    with measured(model):
        for tokens in inputs.split(1):
            tokens = tokens.detach().requires_grad_()
            norm = block(tokens)[0, layers.cls].norm()
            (gradient,) = torch.autograd.grad(norm, tokens)
            fields.append(scaled(gradient[0, layers.image].norm(dim=-1)))
    return torch.stack(fields)


def attention_map(
    model: nn.Module, images: Tensor, layer: int, progress: Progress | None = None
) -> Tensor:
    """Returns how much each image token after a layer depends on each one before it.

    `A[q, k] = ‖∂ ‖X_{l+1}[q]‖₂ / ∂ X_l[k]‖₂` with zeros on the diagonal, divided by the maximum of
    the matrix. In a causal model only what is below the diagonal is not 0.

    Queries are taken many at a time, each on its own copy of the sequence, or of what a causal
    layer has read by then, so that memory is that of the map and of a few copies.

    Args:
        model: See `receptive_field`.
        images: `(B, 3, H, W)`.
        layer: From 1 to the number of layers.
        progress: Called with the number of queries that are done, and of all.

    Returns:
        `(B, L, L)`, in [0, 1].

    Raises:
        ValueError: See `receptive_field`.
    """
    layers = layers_of(model)
    block, inputs = layers.block(layer), layer_inputs(model, images, layer)
    first, last, _ = layers.image.indices(inputs.shape[1])
    causal = layers.is_causal(layer)
    maps = inputs.new_zeros(len(inputs), last - first, last - first)
    done, total = 0, len(inputs) * (last - first)
    with measured(model):
        for tokens, map in zip(inputs, maps, strict=True):
            end = last
            while end > first:
                read = tokens[:end] if causal else tokens
                start = max(first, end - max(1, TOKENS_AT_ONCE // len(read)))
                rows = _query_rows(block, read, slice(start, end))[:, first:last]
                map[start - first : end - first, : rows.shape[1]] = rows
                done, end = done + end - start, start
                if progress is not None:
                    progress(done, total)
            map.fill_diagonal_(0)
            map.copy_(scaled(map))
    return maps


def _query_rows(block: nn.Module, tokens: Tensor, queries: slice) -> Tensor:
    """Returns the rows of Q queries before any scaling, `(Q, T)`, for tokens `(T, C)`."""
    places = torch.arange(len(tokens), device=tokens.device)[queries]
    copies = tokens.detach().expand(len(places), -1, -1).clone().requires_grad_()
    outputs = block(copies)[torch.arange(len(places), device=tokens.device), places]
    (gradient,) = torch.autograd.grad(outputs.norm(dim=-1).sum(), copies)
    return gradient.norm(dim=-1)


def gradient_map(model: nn.Module, images: Tensor, targets: Tensor, layer: int) -> Tensor:
    """Returns how much of the gradient of the training loss reaches each image token.

    `G[k] = ‖∂ loss / ∂ X_l[k]‖₂`, divided by its maximum. The loss is the cross entropy of the CLS
    token and, where the head has an auxiliary classifier, its loss with its weight; without drop
    path, mixup and label smoothing.

    Args:
        model: An image classifier with a `backbone` and a `head`.
        images: `(B, 3, H, W)`.
        targets: `(B,)`, labels.
        layer: From 1 to the number of layers.

    Returns:
        `(B, L)`, in [0, 1].

    Raises:
        ValueError: If the model has no head, there is no label for each image, or see
            `receptive_field`.
    """
    if len(targets) != len(images):
        raise ValueError(
            f'targets: expected a label for each of {len(images)} images, got {len(targets)}'
        )
    if getattr(model, 'head', None) is None:
        raise ValueError(
            f'model: expected a classifier with a head, got {type(model).__name__}; a gradient map '
            'needs its loss'
        )
    layers = layers_of(model)
    block = layers.block(layer)
    fields = []
    with measured(model):
        for image, target in zip(images.split(1), targets.split(1), strict=True):
            gradient = _loss_gradient(model, block, image, target)
            fields.append(scaled(gradient[0, layers.image].norm(dim=-1)))
    return torch.stack(fields)


def _loss_gradient(model: nn.Module, block: nn.Module, image: Tensor, target: Tensor) -> Tensor:
    """Returns the gradient of the loss of one image with respect to what a block reads."""
    read: list[Tensor] = []

    def replace(module: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
        read.append(inputs[0].detach().requires_grad_())
        return (read[0],)

    handle = block.register_forward_pre_hook(replace)
    try:
        loss = training_loss(model.get_submodule('head'), backbone_of(model)(image), target)
    finally:
        handle.remove()
    return torch.autograd.grad(loss, read[0])[0]


def training_loss(head: nn.Module, features: tuple, target: Tensor) -> Tensor:
    """Returns the loss of a classification head without label smoothing, a number.

    Args:
        head: A head of MMPretrain, or `DefocusClsHead` with its auxiliary loss.
        features: What the backbone returns.
        target: Labels, `(B,)`.
    """
    loss = F.cross_entropy(head(features), target)
    if getattr(head, 'aux_fc', None) is None:
        return loss
    head_with_aux = cast(HasAuxiliary, head)
    logits = head_with_aux.forward_aux(features)
    if logits.dim() == 3:  # a classifier of every token
        target = target.repeat_interleave(logits.shape[1])
        logits = logits.flatten(0, 1)
    return loss + head_with_aux.aux_loss_weight * F.cross_entropy(logits, target)


def scaled(map: Tensor) -> Tensor:
    """Divides a map by its maximum; a map of zeros stays as it is."""
    top = map.max()
    return map / torch.where(top > 0, top, torch.ones_like(top))
