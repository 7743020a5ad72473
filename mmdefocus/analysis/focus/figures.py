"""Figures for print of where models look: models in columns, layers in rows, as in Figure 1."""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from torch import Tensor

from ..line_style import line_style
from .filters import QUANTILES, Filters, LayerFilters, response
from .measure import LayerMaps, Numbers

COLOURS = 'cividis'  # the same order in grey and to the colour-blind
# The weights of all queries span decades: on a linear scale the strongest leaves the others dark.
FAINTEST = 1e-3
NARROWEST = 1e-3  # radians a token: a filter without decay would have an infinite response
Kind = Literal['attention', 'field', 'gradient']
TITLES = {
    'attention': 'attention map: query down, key across',
    'field': 'receptive field of CLS',
    'gradient': 'gradient map',
}


class Numbered(Protocol):
    """A layer with its numbers: `LayerMaps`, or `LayerNumbers` of a study."""

    @property
    def layer(self) -> int:
        """From 1."""

    @property
    def numbers(self) -> Numbers:
        """By name, a value for each image or run."""


def draw_maps(
    kind: Kind, models: Mapping[str, Sequence[LayerMaps]], image: int, picture: np.ndarray
) -> Figure:
    """Draws one kind of map of an image, attention maps on a logarithmic scale.

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
    least = FAINTEST if kind == 'attention' else 0.0
    scale = LogNorm(least, 1) if least else Normalize(0, 1)
    drawn = None
    for column, (name, layers) in enumerate(models.items(), start=1):
        for row, maps in enumerate(layers):
            values: Tensor | None = getattr(maps, kind)
            axes = panels[row, column]
            title = f'{name}\nlayer {maps.layer}' if row == 0 else f'layer {maps.layer}'
            axes.set_title(title, fontsize=9)
            if values is not None:
                seen = values[image].clamp_min(least).cpu().numpy()
                drawn = axes.imshow(seen, COLOURS, norm=scale)
    if drawn is not None:
        figure.colorbar(drawn, ax=panels, shrink=0.6, label='share of the maximum')
    figure.suptitle(TITLES[kind], fontsize=10)
    return figure


def draw_numbers(models: Mapping[str, Sequence[Numbered]], names: Sequence[str]) -> Figure:
    """Draws numbers against the layer: the mean of the values, and their deviation as a bar.

    Args:
        models: The layers of each model or setting, by its name.
        names: Keys of `numbers` of the layers, a panel each.
    """
    figure, panels = _panels(names)
    for axes, name in zip(panels, names, strict=True):
        for index, (model, layers) in enumerate(models.items()):
            known = [layer for layer in layers if name in layer.numbers]
            values = [layer.numbers[name].double() for layer in known]
            axes.errorbar(
                [layer.layer for layer in known],
                [x.nanmean().item() for x in values],
                [x.std().item() if len(x) > 1 else 0.0 for x in values],
                **line_style(index),
                capsize=3,
                label=model,
            )
        axes.set(xlabel='layer', title=name.replace('_', ' '))
    return _with_legend(figure, panels)


def draw_against_accuracy(
    runs: Mapping[str, Sequence[tuple[float, Mapping[str, float]]]], names: Sequence[str]
) -> Figure:
    """Draws the accuracy of runs against their numbers, a point for each run.

    Args:
        runs: Accuracy in percent and numbers of the runs of each setting, by its name.
        names: Keys of the numbers, a panel each.
    """
    figure, panels = _panels(names)
    for axes, name in zip(panels, names, strict=True):
        for index, (setting, found) in enumerate(runs.items()):
            axes.plot(
                [numbers[name] for _, numbers in found],
                [accuracy for accuracy, _ in found],
                **line_style(index) | {'linestyle': 'none'},
                label=setting,
            )
        axes.set(xlabel=name.replace('_', ' '), ylabel='top-1, %')
    return _with_legend(figure, panels)


def draw_filters(model: str, layers: Sequence[LayerFilters]) -> Figure:
    """Draws the bandpass filters of a model before and after training, a row for each layer.

    On the left are centre frequencies and bandwidths, medians with bars from 25 to 75 % of all
    tokens and channels. On the right is the response of Eq. 7, the root mean square over all
    filters of the layer at their median bandwidths.

    Args:
        model: Its name.
        layers: The layers, one or more.
    """
    figure = Figure(figsize=(7.2, 2.3 * len(layers) + 0.5), layout='constrained')
    rows = figure.subplots(len(layers), 2, squeeze=False)
    for (places, curves), filters in zip(rows, layers, strict=True):
        for found, label, index in ((filters.before, 'before', 1), (filters.after, 'after', 0)):
            _draw_places(places, found, label, index)
            _draw_response(curves, found, label, index)
        places.set(title=f'layer {filters.layer}', ylabel='|λ| a token')
        curves.set(title=f'layer {filters.layer}', ylabel='response')
    for axes, label in zip(rows[-1], ('|θ|, radians a token', 'ω, radians a token'), strict=True):
        axes.set_xlabel(label)
    figure.suptitle(f'{model}: filters before and after training', fontsize=10)
    return _with_legend(figure, list(rows.flat))


def _draw_places(axes: Axes, filters: Filters, label: str, index: int) -> None:
    low, middle, high = (filters.bandwidths[QUANTILES.index(x)].cpu() for x in (0.25, 0.5, 0.75))
    for column, frequencies in enumerate(filters.frequencies.cpu().T):
        axes.errorbar(
            frequencies.tolist(),
            middle.tolist(),
            torch.stack((middle - low, high - middle)).numpy(),
            **line_style(index) | {'linestyle': 'none'},
            markersize=4,
            alpha=0.7,
            label=None if column else label,
        )
    axes.set_xscale('symlog', linthresh=1e-2)
    axes.set_yscale('symlog', linthresh=NARROWEST)


def _draw_response(axes: Axes, filters: Filters, label: str, index: int) -> None:
    omega = torch.logspace(-2, np.log10(np.pi), 200)
    widths = filters.bandwidths[QUANTILES.index(0.5)].cpu().clamp_min(NARROWEST)
    found = response(filters.frequencies.cpu()[..., None], widths[:, None, None], omega)
    axes.plot(
        omega.numpy(),
        found.square().mean((0, 1)).sqrt().numpy(),
        '--' if index else '-',
        color=line_style(index)['color'],
        label=label,
    )
    axes.set(xscale='log', yscale='log')


def _panels(names: Sequence[str]) -> tuple[Figure, list[Axes]]:
    """Returns a figure with a panel for each name, four in a row."""
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(3.4 * columns, 2.8 * rows + 0.4), layout='constrained')
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in panels[len(names) :]:
        axes.set_axis_off()
    return figure, panels[: len(names)]


def _with_legend(figure: Figure, panels: Sequence[Axes]) -> Figure:
    """Gives panels that show the same a grid and one legend."""
    for axes in panels:
        axes.grid(alpha=0.3)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, fontsize=8, loc='outside lower center', ncols=3)
    return figure
