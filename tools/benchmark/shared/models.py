"""The models whose speed is compared, and what a step of them is."""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

NUM_CLASSES = 1000
SIZES = ('tiny', 'small', 'base')
FAMILIES = {
    'adventurer': 'Adventurer',
    'defocus_mamba': 'DefocusMamba',
    'defocus_mamba2': 'DefocusMamba2',
    'defocus_retnet': 'DefocusRetNet',
    'defocus_vit': 'DefocusViT',
    'mamba_nd': 'MambaND',
    's4nd_vit': 'S4NDViT',
    'vision_rwkv': 'VisionRWKV',
}


class Classifier(nn.Module):
    """A linear layer on the CLS token of a backbone, or on the average of its tokens."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(backbone.embed_dims, NUM_CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.backbone(images)[0])


def make_classifier(family: str, arch: str, img_size: int) -> nn.Module:
    """One of the backbones with a linear layer."""
    from mmdefocus import models

    return Classifier(getattr(models, family)(arch, img_size=img_size))


def make_deit(size: str, img_size: int) -> nn.Module:
    """DeiT with a linear layer on the CLS token."""
    import timm

    name = f'deit_{size}_patch16_224'
    return timm.create_model(name, img_size=img_size, num_classes=NUM_CLASSES)


MODELS: dict[str, Callable[[int], nn.Module]] = {
    **{
        f'{name}_{size}': partial(make_classifier, family, size)
        for name, family in FAMILIES.items()
        for size in SIZES
    },
    **{f'deit_{size}': partial(make_deit, size) for size in SIZES},
}


def read_model(text: str) -> str:
    """Reads the name of a model or the file of a config."""
    if text not in MODELS and not (text.endswith('.py') and Path(text).is_file()):
        names = ', '.join(MODELS)
        raise argparse.ArgumentTypeError(f'expected a config or one of {names}, got {text!r}')
    return text


def short_name(model: str) -> str:
    """Returns the name of a model, or of a config without its folder."""
    return model.rpartition('/')[2].replace('.py', '')


def make_model(name: str, img_size: int, tiny: bool = False) -> nn.Module:
    """Builds a model of the list, or the backbone of a config with a linear layer.

    Args:
        name: One of `MODELS`, or the file of a config.
        img_size: Side of the images in pixels.
        tiny: Builds the smallest model of the same family in place of it.
    """
    if name in MODELS:
        return MODELS[f'{name.rpartition("_")[0]}_tiny' if tiny else name](img_size)
    from mmdefocus.analysis.config_backbone import config_backbone

    return Classifier(config_backbone(Path(name), img_size, tiny_depth=1 if tiny else None))


def autocast(device: str, dtype: torch.dtype) -> torch.autocast:
    """Returns the context in which 16-bit types are computed with; float32 is the type itself."""
    return torch.autocast(device, dtype, enabled=dtype.itemsize == 2)


def make_step(
    model: nn.Module, mode: str, images: Tensor, dtype: torch.dtype = torch.float32
) -> Callable[[], None]:
    """Returns a function that trains or infers once on a batch, computing in `dtype`."""
    precision = autocast(images.device.type, dtype)
    if mode == 'infer':
        model.eval()
        return torch.inference_mode()(precision(lambda: model(images)))
    model.train()
    labels = torch.arange(len(images), device=images.device) % NUM_CLASSES
    on_gpu = images.is_cuda  # where a CUDA graph may hold the step
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True, capturable=on_gpu)

    def step() -> None:
        with precision:
            loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


class LinearCalls(TorchFunctionMode):
    """Notes the linear layers that run within it, called as modules or as functions."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Callable[..., Tensor], torch.Size, tuple]] = []

    def __torch_function__(
        self, func: Callable, types: tuple, args: tuple = (), kwargs: dict | None = None
    ) -> object:
        if func in (F.linear, F.conv2d):
            self.calls.append((func, args[0].shape, args[1:]))
        return func(*args, **(kwargs or {}))


def make_linear_step(
    model: nn.Module, mode: str, images: Tensor, dtype: torch.dtype = torch.float32
) -> Callable[[], None]:
    """Returns a function that runs the linear layers of a model alone, on inputs of their shapes.

    The patch embedding is one of them. In training, gradients of input and weights are included.
    """
    with torch.no_grad(), LinearCalls() as linear:
        model(images)
    train = mode == 'train'
    # nothing needs the gradient of the images
    inputs = {
        shape: torch.randn(
            shape, device=images.device, requires_grad=train and shape != images.shape
        )
        for _, shape, _ in linear.calls
    }

    def step() -> None:
        with torch.set_grad_enabled(train), autocast(images.device.type, dtype):
            for function, shape, weights_and_options in linear.calls:
                y = function(inputs[shape], *weights_and_options)
                if train:
                    weights = [x for x in weights_and_options if isinstance(x, nn.Parameter)]
                    targets = [x for x in (inputs[shape], *weights) if x.requires_grad]
                    torch.autograd.grad(y, targets, y.detach())

    return step
