"""Over-focus across trainings: what settings differ in, and whether it goes with accuracy."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch

from .measure import Numbers, summary

RESAMPLES = 4000
CONFIDENCE = (2.5, 97.5)  # percentiles of an interval of 95 %
NORMAL_QUANTILE = 1.959964  # of 97.5 %


class LayerNumbers(NamedTuple):
    """Numbers of a layer.

    Attributes:
        layer: From 1.
        numbers: By name, a value for each image or each run, `(I,)`.
    """

    layer: int
    numbers: Numbers


class Run(NamedTuple):
    """A training and what was measured of its model.

    Attributes:
        setting: What was trained.
        seed: Tells runs of a setting apart.
        accuracy: Top-1, in percent.
        layers: A value of each number for each image.
    """

    setting: str
    seed: int
    accuracy: float
    layers: list[LayerNumbers]


class Correlation(NamedTuple):
    """Pearson's correlation of two numbers of runs, with an interval of 95 %; NaN if unknown."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        if math.isnan(self.value):
            return 'not known'
        if math.isnan(self.low):
            return f'{self.value:+.2f}'
        return f'{self.value:+.2f} [{self.low:+.2f}, {self.high:+.2f}]'


def settings_of(runs: Iterable[Run]) -> dict[str, list[Run]]:
    """Returns the runs of each setting, in the order in which settings come up."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(run.setting, []).append(run)
    return found


def across_runs(runs: Sequence[Run]) -> list[LayerNumbers]:
    """Returns the layers of runs of one setting with a value for each run: its mean over images."""
    return [
        LayerNumbers(
            layers[0].layer,
            {
                name: torch.stack([layer.numbers[name].double().nanmean() for layer in layers])
                for name in layers[0].numbers
            },
        )
        for layers in zip(*(run.layers for run in runs), strict=True)
    ]


def overall(run: Run, name: str) -> float:
    """Returns a number of a run, a mean over images and layers; NaN if the run lacks it."""
    found = [
        layer.numbers[name].double().nanmean() for layer in run.layers if name in layer.numbers
    ]
    return torch.stack(found).mean().item() if found else math.nan


def correlation(runs: Sequence[Run], name: str) -> Correlation:
    """Returns how a number goes with accuracy over all runs.

    Seeds of a setting are alike, so the interval is a bootstrap over whole settings; there is none
    with fewer than four of them.
    """
    groups = [
        np.array([(overall(run, name), run.accuracy) for run in group])
        for group in settings_of(runs).values()
    ]
    groups = [group for group in groups if np.isfinite(group).all()]
    value = _pearson(groups)
    if len(groups) < 4 or math.isnan(value):
        return Correlation(value, math.nan, math.nan)
    rng = np.random.default_rng(0)
    draws = rng.integers(0, len(groups), (RESAMPLES, len(groups)))
    found = [_pearson([groups[index] for index in draw]) for draw in draws]
    return Correlation(value, *(float(x) for x in np.nanpercentile(found, CONFIDENCE)))


def correlation_within(runs: Sequence[Run], name: str) -> Correlation:
    """Returns how a number goes with accuracy among the seeds of a setting.

    Both are taken as differences from the mean of their setting; the interval is Fisher's, with a
    degree of freedom less for each setting.
    """
    groups = [
        np.array([(overall(run, name), run.accuracy) for run in group])
        for group in settings_of(runs).values()
    ]
    groups = [group for group in groups if np.isfinite(group).all() and len(group) > 1]
    value = _pearson([group - group.mean(0) for group in groups])
    free = sum(len(group) - 1 for group in groups) - 2
    if free < 1 or not abs(value) < 1:
        return Correlation(value, math.nan, math.nan)
    reach = NORMAL_QUANTILE / math.sqrt(free)
    low, high = (math.tanh(math.atanh(value) + side * reach) for side in (-1, 1))
    return Correlation(value, low, high)


def _pearson(groups: Sequence[np.ndarray]) -> float:
    """Returns the correlation of the columns of all groups `(R, 2)`; NaN if one is constant."""
    pairs = np.concatenate(groups) if groups else np.empty((0, 2))
    if len(pairs) < 3 or (np.ptp(pairs, axis=0) < 1e-12).any():
        return math.nan
    return float(np.corrcoef(pairs.T)[0, 1])


def as_markdown(runs: Sequence[Run], names: Sequence[str]) -> str:
    """Returns tables of accuracy and of each number by layer, and their correlations.

    Args:
        runs: The runs; those of one setting have the same layers.
        names: Numbers of `LayerNumbers.numbers`. A run may lack some.
    """
    settings = settings_of(runs)
    tables = [_accuracies(settings), *(_by_layer(settings, name) for name in names)]
    lines = [_row('correlation with accuracy', 'over all runs', 'among seeds of a setting')]
    lines.append(_row(*('---',) * 3))
    for name in names:
        both = correlation(runs, name), correlation_within(runs, name)
        lines.append(_row(f'{told(name)}, mean of layers', *map(str, both)))
    return '\n\n'.join('\n'.join(table) for table in [*tables, lines]) + '\n'


def _accuracies(settings: dict[str, list[Run]]) -> list[str]:
    lines = [_row('setting', 'runs', 'top-1, %'), _row(*('---',) * 3)]
    for setting, runs in settings.items():
        accuracies = [run.accuracy for run in runs]
        lines.append(_row(setting, str(len(runs)), mean_and_deviation(accuracies)))
    return lines


def _by_layer(settings: dict[str, list[Run]], name: str) -> list[str]:
    depth = max(len(runs[0].layers) for runs in settings.values())
    heads = [f'layer {number}' for number in range(1, depth + 1)]
    lines = [_row(told(name), *heads), _row(*('---',) * (depth + 1))]
    for setting, runs in settings.items():
        found = {layer.layer: layer.numbers for layer in across_runs(runs)}
        values = [found.get(number, {}).get(name) for number in range(1, depth + 1)]
        cells = ('' if x is None else mean_and_deviation(x.tolist()) for x in values)
        lines.append(_row(setting, *cells))
    return lines


def _row(*cells: str) -> str:
    return f'| {" | ".join(cells)} |'


def told(name: str) -> str:
    """Returns a name of a number in words."""
    return name.replace('_', ' ')


def mean_and_deviation(values: Sequence[float]) -> str:
    """Returns mean and, of two values or more, the deviation of the sample, in three digits."""
    found = summary(values)
    mean = f'{found["mean"]:.3g}'
    return f'{mean} ± {found["deviation"]:.2g}' if len(values) > 1 else mean
