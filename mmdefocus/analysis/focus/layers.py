"""The layers of a model, whatever its family: what goes into one, and where CLS and image are."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from inspect import signature
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from ...models.backbones.image_backbone import ImageBackbone
from ...models.layers import Mixer


class Layers(NamedTuple):
    """The blocks of a backbone and the places of its tokens.

    Attributes:
        blocks: The blocks with their residuals, first to last; each maps `(B, T, C)` to the same.
        cls: Place of the CLS token among the T tokens.
        image: Places of the image tokens, in the order of reading.
        norm: Name of the norm before the mixer of a block.
        mixer: Name of the mixer of a block.
    """

    blocks: Sequence[nn.Module]
    cls: int
    image: slice
    norm: str
    mixer: str

    def block(self, layer: int) -> nn.Module:
        """Returns a block by its number, from 1.

        Raises:
            ValueError: If there is no such layer.
        """
        if not 1 <= layer <= len(self.blocks):
            raise ValueError(f'layer: expected a number from 1 to {len(self.blocks)}, got {layer}')
        return self.blocks[layer - 1]

    def norm_of(self, layer: int) -> nn.Module:
        """Returns the norm before the mixer of a layer, see `block`."""
        return self.block(layer).get_submodule(self.norm)

    def mixer_of(self, layer: int) -> nn.Module:
        """Returns the mixer of a layer, see `block`."""
        return self.block(layer).get_submodule(self.mixer)

    def is_causal(self, layer: int) -> bool:
        """Tells whether what a layer writes of a token depends on those before it alone."""
        mixer = self.mixer_of(layer)
        if not isinstance(mixer, Mixer):
            return False
        try:
            mixer.initial_state(1)  # such a mixer alone has a state before the first token
        except ValueError:
            return False
        return True


def backbone_of(model: nn.Module) -> nn.Module:
    """Returns the backbone of a classifier or detector, or the model itself if it is one."""
    return getattr(model, 'backbone', model)


def layers_of(model: nn.Module) -> Layers:
    """Finds the layers of a backbone of this package or of MMPretrain's `VisionTransformer`.

    Args:
        model: A backbone, or a classifier or detector with one.

    Raises:
        ValueError: If it is another one, or has not one CLS token.
    """
    backbone = backbone_of(model)
    if isinstance(backbone, ImageBackbone):
        if backbone.out_type == 'cls_per_strip':
            raise ValueError(
                'model: out_type=cls_per_strip reads CLS many times; expected it at the end alone: '
                "set out_type='cls_and_tokens' and, of the head, early_every=None"
            )
        if not backbone.has_cls_token:
            raise ValueError(f'model: {type(backbone).__name__} has no CLS token')
        return Layers(backbone.blocks, -1, slice(0, -1), norm='norm', mixer='mixer')
    # by its name: the class is MMPretrain's, which need not be installed
    if 'VisionTransformer' in {base.__name__ for base in type(backbone).__mro__}:
        if getattr(backbone, 'cls_token', None) is None:
            raise ValueError(f'model: {type(backbone).__name__} has no CLS token')
        blocks = list(backbone.get_submodule('layers').children())
        if len(signature(blocks[0].forward).parameters) > 1:
            raise ValueError(
                f'model: the layers of {type(backbone).__name__} read more than tokens; expected a '
                'VisionTransformer of mmpretrain whose layers map tokens to tokens, such as DeiT'
            )
        image = slice(cast(int, backbone.num_extra_tokens), None)
        return Layers(blocks, 0, image, norm='ln1', mixer='attn')
    raise ValueError(
        'model: expected a backbone of mmdefocus or a VisionTransformer of mmpretrain, '
        f'got {type(backbone).__name__}'
    )


def check_weights(model: nn.Module) -> torch.device:
    """Returns the device of the weights of a model that can be measured.

    Raises:
        ValueError: If its weights are not float32 or float64.
    """
    weight = next(model.parameters())
    if weight.dtype not in (torch.float32, torch.float64):
        raise ValueError(f'model: expected weights in float32, got {weight.dtype}')
    return weight.device


@contextmanager
def measured(model: nn.Module) -> Iterator[None]:
    """Within it a model is in evaluation and autocast is off; its modes are restored after it.

    Raises:
        ValueError: If its weights are not float32 or float64.
    """
    device = check_weights(model)
    training = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.autocast(device.type, enabled=False), torch.enable_grad():
            yield
    finally:
        for module, mode in training.items():
            module.training = mode


@torch.no_grad()
def layer_inputs(model: nn.Module, images: Tensor, layer: int) -> Tensor:
    """Returns X_l, what a layer reads of `(B, 3, H, W)` images: `(B, T, C)`, CLS among the T.

    Raises:
        ValueError: See `layers_of` and `Layers.block`.
    """
    found: list[Tensor] = []

    def keep(module: nn.Module, inputs: tuple[Tensor]) -> None:
        found.append(inputs[0])

    handle = layers_of(model).block(layer).register_forward_pre_hook(keep)
    try:
        with measured(model):
            backbone_of(model)(images)
    finally:
        handle.remove()
    return found[0]


def on_grid(backbone: nn.Module, map: Tensor, image_shape: Sequence[int]) -> Tensor:
    """Puts numbers of tokens where the tokens lie in the image; what is padding is left out.

    Args:
        backbone: Whose order of reading counts.
        map: `(..., L)`, a number for each image token in the order of reading.
        image_shape: Height and width of the image in pixels.

    Returns:
        `(..., ceil(H / p), ceil(W / p))` for patches of p pixels.

    Raises:
        ValueError: If the image has another number of patches.
    """
    side = patch_side(backbone)
    if not isinstance(backbone, ImageBackbone):
        # MMPretrain pads the image to whole patches at the right and at the bottom, too
        patches = tuple(-(-length // side) for length in image_shape)
        _check_patches(map, patches)
        return map.unflatten(-1, patches)
    pad_to = backbone.patch_embed.pad_to
    padded = [-(-length // pad_to) * pad_to // side for length in image_shape]
    _check_patches(map, padded)
    grid = backbone.order.to_grid(map.reshape(-1, map.shape[-1], 1), *padded)
    height, width = (-(-length // side) for length in image_shape)
    return grid[:, 0, :height, :width].reshape(*map.shape[:-1], height, width)


def patch_side(backbone: nn.Module) -> int:
    """Returns the side of a patch in pixels."""
    return cast(nn.Conv2d, backbone.get_submodule('patch_embed.projection')).kernel_size[0]


def _check_patches(map: Tensor, patches: Sequence[int]) -> None:
    height, width = patches
    if map.shape[-1] != height * width:
        raise ValueError(
            f'map: expected (..., {height * width}), the {height} x {width} patches that the '
            f'backbone makes of the image, got shape {tuple(map.shape)}'
        )
