"""The models whose speed is compared, and what a step of them is."""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NUM_CLASSES = 1000
SIZES = ('tiny', 'small', 'base')
FAMILIES = {
    'defocus_mamba': 'DefocusMamba',
    'defocus_retnet': 'DefocusRetNet',
    'defocus_vit': 'DefocusViT',
}


class Classifier(nn.Module):
    """A linear layer on the CLS token of a De-focus backbone."""

    def __init__(self, family: str, arch: str, img_size: int) -> None:
        super().__init__()
        from mmdefocus import models

        self.backbone = getattr(models, family)(arch, img_size=img_size)
        self.head = nn.Linear(self.backbone.embed_dims, NUM_CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.backbone(images)[0])


def make_deit(size: str, img_size: int) -> nn.Module:
    """DeiT with a linear layer on the CLS token."""
    import timm

    name = f'deit_{size}_patch16_224'
    return timm.create_model(name, img_size=img_size, num_classes=NUM_CLASSES)


MODELS: dict[str, Callable[[int], nn.Module]] = {
    **{
        f'{name}_{size}': partial(Classifier, family, size)
        for name, family in FAMILIES.items()
        for size in SIZES
    },
    **{f'deit_{size}': partial(make_deit, size) for size in SIZES},
}


def make_step(model: nn.Module, mode: str, images: Tensor) -> Callable[[], None]:
    """Returns a function that trains or infers once on a batch."""
    if mode == 'infer':
        model.eval()
        return torch.inference_mode()(lambda: model(images))
    model.train()
    labels = torch.arange(len(images), device=images.device) % NUM_CLASSES
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

    def step() -> None:
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def make_linear_step(model: nn.Module, mode: str, images: Tensor) -> Callable[[], None]:
    """Returns a function that runs the linear layers of a model alone, on inputs of their shapes.

    The patch embedding is one of them. In training, gradients of input and weights are included.
    """
    shapes: list[tuple[nn.Module, torch.Size]] = []
    layers = [m for m in model.modules() if isinstance(m, (nn.Linear, nn.Conv2d))]
    hooks = [
        layer.register_forward_hook(lambda m, inputs, _: shapes.append((m, inputs[0].shape)))
        for layer in layers
    ]
    with torch.no_grad():
        model(images)
    for hook in hooks:
        hook.remove()
    train = mode == 'train'
    # nothing needs the gradient of the images
    inputs = {
        shape: torch.randn(shape, requires_grad=train and shape != images.shape)
        for _, shape in shapes
    }

    def step() -> None:
        with torch.set_grad_enabled(train):
            for layer, shape in shapes:
                y = layer(inputs[shape])
                if train:
                    tensors = (inputs[shape], *layer.parameters())
                    targets = [x for x in tensors if x.requires_grad]
                    torch.autograd.grad(y, targets, y.detach())

    return step
