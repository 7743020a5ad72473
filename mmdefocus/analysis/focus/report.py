"""What is written of a measurement: numbers as JSON, figures, a page."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from matplotlib.figure import Figure
from rich.console import Console

from ...utils.console import make_table
from ...utils.files import fitting_name, replacing, write_json
from .figures import Kind, draw_filters, draw_maps, draw_numbers
from .filters import LayerFilters
from .measure import LayerMaps, summary
from .page import Picture, make_page

SHOWN = (
    'attention_effective_tokens',
    'attention_top_5_percent',
    'attention_mean_distance',
    'attention_sink_share',
    'field_effective_tokens',
    'field_mean_distance',
    'gradient_effective_tokens',
    'attention_agreement',
)
PICTURE_SIDE = 336  # pixels of an image in the page


class Subject(NamedTuple):
    """A model and what was measured of it.

    Attributes:
        name: Tells it from the others.
        config: The file.
        checkpoint: The file.
        layers: Its maps and numbers.
        filters: Its bandpass filters in the same layers; empty where it has none.
    """

    name: str
    config: str
    checkpoint: str
    layers: list[LayerMaps]
    filters: list[LayerFilters]


def write_report(
    out: Path, paths: Sequence[Path], pictures: Sequence[np.ndarray], subjects: Sequence[Subject]
) -> None:
    """Writes `over_focus.json`, `figures/*.png` and `.pdf`, and `index.html` into a folder.

    Args:
        out: The folder.
        paths: The files of the images that were measured.
        pictures: The images themselves, RGB uint8 `(H, W, 3)`.
        subjects: The models, all measured on these images.
    """
    write_json(without_nan(_numbers(paths, subjects)), out / 'over_focus.json')
    models = {subject.name: subject.layers for subject in subjects}
    kinds: list[Kind] = ['attention', 'field']
    if any(maps.gradient is not None for layers in models.values() for maps in layers):
        kinds.append('gradient')
    for index, (path, picture) in enumerate(zip(paths, pictures, strict=True)):
        for kind in kinds:
            figure = draw_maps(kind, models, index, picture)
            save_figure(figure, out / 'figures' / f'{index + 1}_{path.stem}_{kind}')
    for index, subject in enumerate(subjects, start=1):
        if subject.filters:
            figure = draw_filters(subject.name, subject.filters)
            save_figure(figure, out / 'figures' / f'filters_{index}_{Path(subject.config).stem}')
    shown = _known(subjects)
    save_figure(draw_numbers(models, shown), out / 'figures' / 'numbers')
    height, width = subjects[0].layers[0].field.shape[1:]
    shots = [
        Picture(path.name, _as_jpeg(picture), (height, width))
        for path, picture in zip(paths, pictures, strict=True)
    ]
    with replacing(out / 'index.html') as unfinished:
        unfinished.write_text(make_page('Where the models look', shots, models, shown), 'utf-8')


def print_numbers(subjects: Sequence[Subject], console: Console) -> None:
    """Shows a row for each layer: means over the images, and deviations."""
    shown = _known(subjects)
    table = make_table('model', 'layer', *(name.replace('_', ' ') for name in shown))
    for subject in subjects:
        for maps in subject.layers:
            cells = [_cell(maps, name) for name in shown]
            table.add_row(subject.name, str(maps.layer), *cells)
    console.print(table)


def _cell(maps: LayerMaps, name: str) -> str:
    if name not in maps.numbers:
        return ''
    found = summary(maps.numbers[name])
    return f'{found["mean"]:.3g} ± {found["deviation"]:.2g}'


def _known(subjects: Sequence[Subject]) -> list[str]:
    """Returns the numbers that are shown, without those that no model has."""
    known = {name for subject in subjects for maps in subject.layers for name in maps.numbers}
    return [name for name in SHOWN if name in known]


def _numbers(paths: Sequence[Path], subjects: Sequence[Subject]) -> dict[str, object]:
    return {
        'images': [str(path) for path in paths],
        'models': [
            {
                'name': subject.name,
                'config': subject.config,
                'checkpoint': subject.checkpoint,
                'layers': [
                    {'layer': maps.layer, **{k: summary(v) for k, v in maps.numbers.items()}}
                    for maps in subject.layers
                ],
                'filters': [
                    {
                        'layer': layer,
                        'before': {name: x.tolist() for name, x in before._asdict().items()},
                        'after': {name: x.tolist() for name, x in after._asdict().items()},
                    }
                    for layer, before, after in subject.filters
                ],
            }
            for subject in subjects
        ],
    }


def without_nan(content: object) -> object:
    """Returns lists, dicts and numbers with None for what is no number, for which JSON has null."""
    if isinstance(content, dict):
        return {key: without_nan(value) for key, value in content.items()}
    if isinstance(content, list):
        return [without_nan(value) for value in content]
    return None if isinstance(content, float) and math.isnan(content) else content


def save_figure(figure: Figure, path: Path) -> None:
    """Writes a figure as PNG and as PDF; `path` has no suffix."""
    for suffix in ('.png', '.pdf'):
        with replacing(path.with_name(fitting_name(path.name + suffix))) as unfinished:
            figure.savefig(unfinished, dpi=150)


def _as_jpeg(picture: np.ndarray) -> bytes:
    """Returns an RGB image as a JPEG file of at most 336 pixels a side."""
    scale = min(1.0, PICTURE_SIDE / max(picture.shape[:2]))
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return cv2.imencode('.jpg', small[..., ::-1])[1].tobytes()
