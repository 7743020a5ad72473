"""Scenes of one or two handwritten digits with captions, for the miniature of CLIP.

Everything here is a pure function of its arguments; a random generator is always passed in.
"""

import numpy as np

from . import digits
from .pairs.scenes import CaptionedScene

NAMES = ('zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine')
TEMPLATES = (
    'a {}',
    'the digit {}',
    'a photo of the digit {}',
    'a handwritten {}',
    'somebody wrote a {}',
)
BESIDE = ('a {} left of a {}', 'a {} and a {} to its right', 'from left to right {} and {}')
ABOVE = ('a {} above a {}', 'a {} with a {} below it', 'from top to bottom {} and {}')

_TILT = 5  # degrees, either way
_SINGLE = (0.6, 0.95)  # height of a digit, of the side of its place
_PAIR = (0.8, 1.0)


def compose_single(rng: np.random.Generator, scans: digits.Scans, size: int) -> CaptionedScene:
    """Writes one digit on cluttered ground.

    Args:
        rng: Source of every choice.
        scans: The scans to write with.
        size: Side of the scene in pixels.
    """
    image = digits.paint_ground(rng, size)
    label = _write(rng, image, scans, _SINGLE)
    caption = str(rng.choice(TEMPLATES)).format(NAMES[label])
    return CaptionedScene(digits.add_grain(rng, image), caption, (label,))


def compose_pair(rng: np.random.Generator, scans: digits.Scans, size: int) -> CaptionedScene:
    """Writes two digits, side by side or one above the other. Arguments as `compose_single`."""
    image, half, slack = digits.paint_ground(rng, size), size // 2, size - size // 2
    across = int(rng.integers(0, slack + 1))
    if beside := bool(rng.random() < 0.5):
        places = [image[across : across + half, :half], image[across : across + half, half:]]
    else:
        places = [image[:half, across : across + half], image[half:, across : across + half]]
    labels = tuple(_write(rng, place, scans, _PAIR) for place in places)
    template = str(rng.choice(BESIDE if beside else ABOVE))
    caption = template.format(*(NAMES[label] for label in labels))
    return CaptionedScene(digits.add_grain(rng, image), caption, labels)


def _write(
    rng: np.random.Generator, place: np.ndarray, scans: digits.Scans, heights: tuple[float, float]
) -> int:
    """Writes a random scan somewhere in a part of an image, in place, and returns its digit."""
    scan = int(rng.integers(0, len(scans.labels)))
    limits = place.shape[:2]
    height = round(rng.uniform(*heights) * min(limits))
    width = min(round(height * rng.uniform(0.9, 1.1)), limits[1])
    opacity = digits.render(scans.images[scan], width, height, rng.uniform(-_TILT, _TILT))
    top = int(rng.integers(0, limits[0] - height + 1))
    left = int(rng.integers(0, limits[1] - width + 1))
    digits.write(rng, place[top : top + height, left : left + width], opacity)
    return int(scans.labels[scan])
