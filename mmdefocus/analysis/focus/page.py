"""The maps of several models as one HTML file, which needs no network."""

import base64
import html
import json
import math
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import NamedTuple

import numpy as np
import torch.nn.functional as F
from matplotlib import colormaps
from torch import Tensor

from .figures import COLOURS
from .measure import LayerMaps, summary

LARGEST_MAP = 256  # rows of an attention map in the page; larger ones are averaged down to it


class Picture(NamedTuple):
    """An image of the page.

    Attributes:
        name: Shown above it.
        jpeg: The file's bytes as the browser shows them.
        grid: Height and width in patches.
    """

    name: str
    jpeg: bytes
    grid: tuple[int, int]


def make_page(
    title: str,
    pictures: Sequence[Picture],
    models: Mapping[str, Sequence[LayerMaps]],
    numbers: Sequence[str],
) -> str:
    """Returns the page: for each image a table of maps, models in columns, layers in rows.

    Args:
        title: Heading of the page.
        pictures: The images, as many as the maps have.
        models: The layers of each model, by its name.
        numbers: Keys of `LayerMaps.numbers` that are shown below with their deviations.
    """
    data = {
        'colours': _base64((colormaps[COLOURS](np.arange(256))[:, :3] * 255).astype(np.uint8)),
        'pictures': [
            {
                'name': picture.name,
                'source': f'data:image/jpeg;base64,{base64.b64encode(picture.jpeg).decode()}',
                'grid': picture.grid,
            }
            for picture in pictures
        ],
        'models': [
            {'name': name, 'layers': [_layer(maps) for maps in layers]}
            for name, layers in models.items()
        ],
        'numbers': [name for name in numbers if _anywhere(name, models)],
    }
    page = resources.files(__package__).joinpath('page.html').read_text(encoding='utf-8')
    # no "</script>" of a file name may end the script that holds the data
    text = json.dumps(data).replace('<', '\\u003c')
    return page.replace('{{title}}', html.escape(title)).replace('{{data}}', text)


def _anywhere(name: str, models: Mapping[str, Sequence[LayerMaps]]) -> bool:
    return any(name in maps.numbers for layers in models.values() for maps in layers)


def _layer(maps: LayerMaps) -> dict[str, object]:
    known = {name: summary(values.cpu()) for name, values in maps.numbers.items()}
    return {
        'layer': maps.layer,
        'attention': [_map(x) for x in maps.attention],
        'field': [_map(x) for x in maps.field],
        'gradient': None if maps.gradient is None else [_map(x) for x in maps.gradient],
        'numbers': {
            name: [x['mean'], x['deviation']]
            for name, x in known.items()
            if math.isfinite(x['mean'])  # JSON knows no NaN
        },
    }


def _map(values: Tensor) -> dict[str, object]:
    """Returns a map in 256 steps, with its size."""
    height, width = values.shape
    size = min(height, LARGEST_MAP), min(width, LARGEST_MAP)
    if size != (height, width):
        values = F.adaptive_avg_pool2d(values[None], size)[0]
    levels = (values / values.max().clamp_min(1e-12) * 255).round().byte().cpu().numpy()
    return {'size': size, 'levels': _base64(levels)}


def _base64(levels: np.ndarray) -> str:
    return base64.b64encode(levels.tobytes()).decode()
