"""Class activation maps of classifiers, computed by the package `grad-cam`."""

from typing import TYPE_CHECKING, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import backbone_of, layers_of, measured, on_grid, patch_side

if TYPE_CHECKING:
    from pytorch_grad_cam.base_cam import BaseCAM

Method = Literal['GradCAM', 'GradCAMPlusPlus', 'HiResCAM', 'LayerCAM', 'XGradCAM', 'EigenCAM']
METHODS: tuple[Method, ...] = get_args(Method)


class _Logits(nn.Module):
    """A classifier that returns its logits, `(B, classes)`, whatever the framework around it."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.backbone, self.head = backbone_of(model), model.get_submodule('head')

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.backbone(images))


def class_activation(
    model: nn.Module,
    images: Tensor,
    classes: Tensor,
    layer: int | None = None,
    method: Method = 'GradCAM',
) -> Tensor:
    """Returns where the score of a class comes from.

    The features are those that the mixer of a layer reads, behind the norm: there the image tokens
    still reach the CLS token. CLS is left out, section order undone.

    Args:
        model: An image classifier with a `backbone`, see `receptive_field`, and a `head`.
        images: `(B, 3, H, W)`, normalised as the model expects them; any H and W.
        classes: The class of each image, `(B,)`.
        layer: From 1; None for the last.
        method: A class of `pytorch_grad_cam`, which has the papers in its docstrings.

    Returns:
        `(B, H, W)`, float32 in [0, 1], the largest of each image 1.

    Raises:
        ModuleNotFoundError: If the package `grad-cam` is not installed.
        ValueError: If the model is another one, or there is no such class or layer.
    """
    if getattr(model, 'head', None) is None:
        raise ValueError(f'model: expected a classifier with a head, got {type(model).__name__}')
    layers, backbone = layers_of(model), backbone_of(model)
    norm = layers.norm_of(len(layers.blocks) if layer is None else layer)
    logits = _Logits(model)
    height, width = images.shape[-2:]
    side = patch_side(backbone)
    # the backbone would pad, too, but grad-cam would not know
    padded = F.pad(images, (0, -width % side, 0, -height % side))

    def features(tokens: Tensor) -> Tensor:
        return on_grid(backbone, tokens[:, layers.image].mT, padded.shape[-2:])  # (B, C, H', W')

    with measured(model), _method(method)(logits, [norm], features) as cam:
        with torch.no_grad():
            known = logits(padded).shape[-1]
        if not 0 <= int(classes.min()) <= int(classes.max()) < known:
            raise ValueError(
                f'classes: expected numbers from 0 to {known - 1}, got {classes.tolist()}'
            )
        targets = [_Score(int(number)) for number in classes]
        found = torch.from_numpy(cam(padded, targets))
    return found[:, :height, :width]


class _Score:
    """The logit of a class, which is to be explained."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __call__(self, logits: Tensor) -> Tensor:
        return logits[self.number]


def _method(name: Method) -> 'type[BaseCAM]':
    try:
        import pytorch_grad_cam
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            'class activation maps need the package grad-cam: pip install "mmdefocus[cam]"'
        ) from error
    return getattr(pytorch_grad_cam, name)
