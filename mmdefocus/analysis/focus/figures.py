"""Figures for print of where models look: models in columns, layers in rows, as in Figure 1."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from .measure import LayerMaps

COLOURS = 'cividis'  # the same order in grey and to the colour-blind
Kind = Literal['attention', 'field', 'gradient']
TITLES = {
    'attention': 'attention map: query down, key across',
    'field': 'receptive field of CLS',
    'gradient': 'gradient map',
}


def draw_maps(
    kind: Kind, models: Mapping[str, Sequence[LayerMaps]], image: int, picture: np.ndarray
) -> Figure:
    """Draws one kind of map of an image.

    Args:
        kind: Which maps: 'attention', 'field' or 'gradient'.
        models: The layers of each model, by its name.
        image: Index of the image among the I of the maps.
        picture: The image itself, RGB uint8 `(H, W, 3)`.
    """
    rows = max(len(layers) for layers in models.values())
    figure = Figure(figsize=(2.1 * (len(models) + 1), 2.1 * rows + 0.6), layout='constrained')
    panels = figure.subplots(rows, len(models) + 1, squeeze=False)
    for axes in panels.flat:
        axes.set_axis_off()
    panels[0, 0].imshow(picture)
    panels[0, 0].set_title('image', fontsize=9)
    drawn = None
    for column, (name, layers) in enumerate(models.items(), start=1):
        for row, maps in enumerate(layers):
            values: Tensor | None = getattr(maps, kind)
            axes = panels[row, column]
            title = f'{name}\nlayer {maps.layer}' if row == 0 else f'layer {maps.layer}'
            axes.set_title(title, fontsize=9)
            if values is not None:
                drawn = axes.imshow(values[image].cpu().numpy(), COLOURS, vmin=0, vmax=1)
    if drawn is not None:
        figure.colorbar(drawn, ax=panels, shrink=0.6, label='share of the maximum')
    figure.suptitle(TITLES[kind], fontsize=10)
    return figure


def draw_numbers(models: Mapping[str, Sequence[LayerMaps]], names: Sequence[str]) -> Figure:
    """Draws numbers against the layer: the mean over the images, and their deviation as a bar.

    Args:
        models: The layers of each model, by its name.
        names: Keys of `LayerMaps.numbers`, a panel each.
    """
    figure = Figure(figsize=(3.4 * len(names), 3.0), layout='constrained')
    panels = figure.subplots(1, len(names), squeeze=False)[0]
    for axes, name in zip(panels, names, strict=True):
        _draw_number(axes, models, name)
    panels[0].legend(fontsize=8)
    return figure


def _draw_number(axes: Axes, models: Mapping[str, Sequence[LayerMaps]], name: str) -> None:
    markers = 'osD^vP*X'  # told apart without colour
    for index, (model, layers) in enumerate(models.items()):
        known = [maps for maps in layers if name in maps.numbers]
        values = [maps.numbers[name].double() for maps in known]
        deviations = [x.std().item() if len(x) > 1 else 0.0 for x in values]
        axes.errorbar(
            [maps.layer for maps in known],
            [x.nanmean().item() for x in values],
            deviations,
            marker=markers[index % len(markers)],
            capsize=3,
            label=model,
        )
    axes.set(xlabel='layer', title=name.replace('_', ' '))
    axes.grid(alpha=0.3)
