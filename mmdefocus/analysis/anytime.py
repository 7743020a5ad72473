"""Anytime curves: how often a classifier is right after each strip of the images."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from ..models.backbones import ClsAndTokens, ImageBackbone
from .line_style import line_style
from .run_tables import spread


@dataclass(frozen=True)
class Curve:
    """The accuracies of a run.

    Attributes:
        setting: What was trained. Runs of one setting differ in their seed.
        seed: The random seed.
        shares: Of the rows of an image, read by the end of each strip; the last is 1.
        accuracies: Top-1 of the answers after each strip, in percent.
    """

    setting: str
    seed: int
    shares: Sequence[float]
    accuracies: Sequence[float]


@torch.inference_mode()
def answers_per_strip(backbone: ImageBackbone, head: nn.Module, images: Tensor) -> Tensor:
    """Returns the class of `(B, 3, H, W)` images after each strip, `(B, S)`, in one pass.

    The answer after a strip is that of `forward` to an image that ends there.

    Args:
        backbone: That of a classifier, causal.
        head: Its head, of MMPretrain or of this package.
        images: Normalised as the backbone expects them.

    Raises:
        ValueError: If the backbone looks ahead.
    """
    before = backbone.out_type
    backbone.out_type = 'cls_per_strip'
    try:
        (found,) = backbone(images)
    finally:
        backbone.out_type = before
    strips = found.cls_tokens.shape[1]
    size = found.tokens.shape[1] // strips
    answers = []
    for strip in range(strips):
        cls_token, tokens = found.cls_tokens[:, strip], found.tokens[:, : size * (strip + 1)]
        features = cls_token if before == 'cls_token' else ClsAndTokens(cls_token, tokens)
        answers.append(head((features,)).argmax(-1))
    return torch.stack(answers, dim=1)


def by_setting(curves: Sequence[Curve]) -> dict[str, list[Curve]]:
    """Returns the curves of each setting, in the order of the first of each."""
    settings: dict[str, list[Curve]] = {}
    for curve in curves:
        settings.setdefault(curve.setting, []).append(curve)
    return settings


def per_strip(curves: Sequence[Curve]) -> list[tuple[float, ...]]:
    """Returns the accuracies of the runs of a setting after each strip."""
    return list(zip(*(curve.accuracies for curve in curves), strict=True))


def draw_curves(curves: Sequence[Curve], chance: float | None = None) -> Figure:
    """Draws means over the runs of each setting, with a bar of one deviation to either side.

    Args:
        curves: Of any settings.
        chance: The accuracy of guessing, in percent; None draws no line.
    """
    figure = Figure(figsize=(6.5, 4.5), layout='constrained')
    axes = figure.subplots()
    for number, (setting, runs) in enumerate(by_setting(curves).items()):
        strips = per_strip(runs)
        several = len(runs) > 1
        axes.errorbar(
            [100 * share for share in runs[0].shares],
            [statistics.fmean(values) for values in strips],
            [statistics.stdev(values) for values in strips] if several else None,
            **line_style(number),
            capsize=3,
            label=f'{setting} ({len(runs)} run{"s" if several else ""})',
        )
    if chance is not None:
        axes.axhline(chance, color='0.5', linestyle=':', label='chance')
    axes.set(xlabel='rows of the image read, %', ylabel='top-1 accuracy, %', xlim=(0, 102))
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    figure.legend(fontsize='small', loc='outside lower center', ncols=2)
    return figure


def as_markdown(curves: Sequence[Curve]) -> str:
    """Returns a table for each list of shares: a row a setting, a column a strip."""
    tables: dict[tuple[float, ...], dict[str, list[Curve]]] = {}
    for setting, runs in by_setting(curves).items():
        tables.setdefault(tuple(runs[0].shares), {})[setting] = runs
    return '\n'.join(_table(shares, settings) for shares, settings in tables.items())


def _table(shares: Sequence[float], settings: Mapping[str, Sequence[Curve]]) -> str:
    head = [f'{100 * share:.3g} %' for share in shares]
    lines = [f'| Top-1, %, after | runs | {" | ".join(head)} |', '| --- ' * (len(head) + 2) + '|']
    for setting, runs in settings.items():
        cells = map(spread, per_strip(runs))
        lines.append(f'| {setting} | {len(runs)} | {" | ".join(cells)} |')
    return '\n'.join(lines) + '\n'
