"""All maps of a model on some images, and their numbers."""

from collections.abc import Sequence
from typing import NamedTuple, TypedDict

import torch
from torch import Tensor, nn

from . import metrics
from .agreement import agreement_with_mixer
from .layers import backbone_of, layer_inputs, layers_of, on_grid
from .maps import Progress, attention_map, gradient_map, receptive_field, scaled

Numbers = dict[str, Tensor]


class Summary(TypedDict):
    """Mean, deviation of the sample and the values themselves."""

    mean: float
    deviation: float
    values: list[float]


class LayerMaps(NamedTuple):
    """What a layer looks at in I images.

    Maps are in [0, 1], each divided by its maximum. The numbers count padding as well, which the
    layer reads like any token.

    Attributes:
        layer: Its number, from 1.
        attention: `(I, P, P)` for P patches in raster order, padding left out.
        field: Receptive field of CLS, `(I, H', W')`.
        gradient: Gradient of the loss, `(I, H', W')`; None without targets.
        numbers: By name, a number for each image, `(I,)`.
    """

    layer: int
    attention: Tensor
    field: Tensor
    gradient: Tensor | None
    numbers: Numbers


def default_layers(model: nn.Module) -> list[int]:
    """Returns a quarter, the half and nearly all of the depth: layers 6, 12 and 22 of 24."""
    depth = len(layers_of(model).blocks)
    return sorted({max(1, round(depth * part)) for part in (1 / 4, 1 / 2, 11 / 12)})


def measure_layer(
    model: nn.Module,
    images: Tensor,
    targets: Tensor | None,
    layer: int,
    progress: Progress | None = None,
) -> LayerMaps:
    """Draws up the maps of one layer, see `maps.py`.

    Args:
        model: A classifier, a detector or a backbone.
        images: `(I, 3, H, W)`, normalised as the model expects them.
        targets: Labels, `(I,)`; None leaves out the gradient map.
        layer: From 1.
        progress: Called with the queries of the attention map that are done, and all.

    Raises:
        ValueError: See `receptive_field`.
    """
    backbone, shape = backbone_of(model), images.shape[-2:]
    sequence = attention_map(model, images, layer, progress)
    field = receptive_field(model, images, layer)
    numbers = row_numbers('field', field) | attention_numbers(sequence)
    numbers |= agreement_with_mixer(model, images, layer, sequence, field)
    numbers['outlier_norms'] = metrics.outlier_norms(
        layer_inputs(model, images, layer)[:, layers_of(model).image]
    )
    gradient = None
    if targets is not None:
        gradient = gradient_map(model, images, targets, layer)
        numbers |= row_numbers('gradient', gradient)
        gradient = _each_scaled(on_grid(backbone, gradient, shape))
    keys = on_grid(backbone, sequence, shape).flatten(-2)  # (I, L, P)
    attention = _each_scaled(on_grid(backbone, keys.mT, shape).flatten(-2).mT)  # (I, P, P)
    field = _each_scaled(on_grid(backbone, field, shape))
    height, width = field.shape[-2:]
    numbers['attention_mean_distance_patches'] = _mean(
        metrics.mean_distance(attention, (height, width))
    )
    return LayerMaps(layer, attention, field, gradient, numbers)


def row_numbers(name: str, rows: Tensor) -> Numbers:
    """Returns the numbers of one row an image, `(I, L)`, by names that begin with `name`."""
    numbers = {
        'effective_tokens': metrics.effective_tokens(rows),
        **{f'top_{part}_percent': metrics.top_mass(rows, part / 100) for part in (1, 5, 10)},
        'gini': metrics.gini(rows),
        'area': metrics.area(rows),
        'mean_distance': torch.stack([metrics.mean_distance(row) for row in rows]),
    }
    return {f'{name}_{key}': value for key, value in numbers.items()}


def attention_numbers(maps: Tensor) -> Numbers:
    """Returns the numbers of the attention maps `(I, L, L)`, means over their queries."""
    return {
        'attention_effective_tokens': _mean(metrics.effective_tokens(maps)),
        'attention_top_5_percent': _mean(metrics.top_mass(maps, 0.05)),
        'attention_gini': _mean(metrics.gini(maps)),
        'attention_mean_distance': _mean(metrics.mean_distance(maps)),
        'attention_sink_share': metrics.sink_share(maps),
    }


def summary(values: Sequence[float] | Tensor) -> Summary:
    """Sums up numbers; the deviation of one value is 0."""
    values = torch.as_tensor(values, dtype=torch.float64)
    deviation = values.std().item() if len(values) > 1 else 0.0
    return {'mean': values.mean().item(), 'deviation': deviation, 'values': values.tolist()}


def spread_evenly(length: int, count: int) -> list[int]:
    """Returns places of `count` items out of `length` at equal distances, all if there are less."""
    count = min(count, length)
    return [round((i + 0.5) * length / count - 0.5) for i in range(count)]


def _each_scaled(maps: Tensor) -> Tensor:
    """Divides the map of each image by its maximum, which so far may be that of padding."""
    return torch.stack([scaled(map) for map in maps])


def _mean(rows: Tensor) -> Tensor:
    """Returns the mean over the queries `(I, Q)` that look at anything, `(I,)`."""
    return rows.nanmean(-1)
