"""Parameters, operations and memory of the parts of a model, without computing anything.

The model is built on PyTorch's meta device, where tensors have shapes and no values.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from mmengine.config import Config
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ...models.build import build_model
from .flops import FusedAttention, count_operators

# The parts that follow each other on shapes alone. What comes after them in a detector depends on
# values.
CHAIN = ('vision_backbone', 'backbone', 'neck', 'head')
DETECTOR_SHAPE = (800, 1333)


@dataclass(frozen=True)
class Part:
    """A part of a model and its costs for one image.

    Attributes:
        name: Name of the child module.
        parameters: Number of parameters, frozen ones included.
        flops: Floating point operations of inference, two per multiplication with addition; None
            where they depend on values.
        saved_bytes: Activations in bytes that training keeps for the backward, in float32; None
            where they depend on values. Blocks that are computed again (`with_cp`) are left out.
    """

    name: str
    parameters: int
    flops: int | None = None
    saved_bytes: int | None = None


def build_on_meta(cfg: Config) -> nn.Module:
    """Builds the model of a config in full size without memory for it."""
    with torch.device('meta'):
        return build_model(cfg)


def default_shape(cfg: Config) -> tuple[int, int]:
    """Returns height and width of an image: what is trained, of a detector what is tested.

    A detector whose pipeline names no scale has 800 x 1333, as in COCO.
    """
    if cfg.get('default_scope') == 'mmdet':
        return _tested_shape(cfg) or DETECTOR_SHAPE
    side = (cfg.model.get('backbone') or cfg.model.vision_backbone).get('img_size', 224)
    return (side, side) if isinstance(side, int) else tuple(side)


def _tested_shape(cfg: Config) -> tuple[int, int] | None:
    """Returns height and width that the pipeline of the test asks for, None if it does not.

    A `scale` has the width first. With `keep_ratio` its order says nothing, and a landscape is
    taken.
    """
    dataset = (cfg.get('test_dataloader') or {}).get('dataset') or {}
    while 'pipeline' not in dataset and isinstance(dataset.get('dataset'), Mapping):
        dataset = dataset['dataset']
    for step in dataset.get('pipeline') or ():
        match step.get('scale'):
            case int(width), int(height):
                sides = (height, width)
                return (min(sides), max(sides)) if step.get('keep_ratio') else sides
    return None


def summarize(model: nn.Module, shape: tuple[int, int]) -> list[Part]:
    """Measures the parts of a model that `build_on_meta` has made.

    Args:
        model: A classifier of MMPretrain, a detector of MMDetection, or a `DefocusCLIP`, of which
            the image tower alone is measured.
        shape: Height and width of the image in pixels.

    Returns:
        A part for every parameter of the model's own and every child with parameters.
    """
    features: object = torch.empty(1, 3, *shape, device='meta')
    costs = {}
    for name in CHAIN:
        if isinstance(part := getattr(model, name, None), nn.Module):
            costs[name], features = _measure(part, features)
    parts = [Part(name, own.numel(), 0, 0) for name, own in model.named_parameters(recurse=False)]
    for name, child in model.named_children():
        parameters = sum(parameter.numel() for parameter in child.parameters())
        if parameters:
            parts.append(Part(name, parameters, *costs.get(name, ())))
    return parts


def _measure(part: nn.Module, features: object) -> tuple[tuple[int, int], object]:
    """Returns operations and saved bytes of a part, and its output."""
    part.eval()
    with torch.no_grad(), count_operators() as ours, FlopCounterMode(display=False) as torchs:
        output = part(features)
    part.train()
    with count_operators(), FusedAttention():
        saved = _saved_bytes(part, lambda: part(features))
    return (torchs.get_total_flops() + ours.flops, saved), output


def _saved_bytes(part: nn.Module, run: Callable[[], object]) -> int:
    """Returns the bytes of all storages that autograd keeps, without those of the weights."""
    weights = {tensor.untyped_storage()._cdata for tensor in (*part.parameters(), *part.buffers())}
    storages: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in weights:
            storages[storage._cdata] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        run()
        return sum(storage.nbytes() for storage in storages.values())
