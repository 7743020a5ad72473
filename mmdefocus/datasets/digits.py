"""Handwritten digits for the miniature pipeline: plain scans and cluttered scenes of them.

The scans are scikit-learn's copy of the UCI handwritten digits, 1,797 images of 8x8 pixels.
Everything here is a pure function of its arguments; a random generator is always passed in.
"""

from typing import NamedTuple

import cv2
import numpy as np

CLASSES = tuple('0123456789')
NUM_TRAIN_SCANS = 1400
INK_THRESHOLD = 0.5  # an opacity from here on counts as ink: boxes are tight around it

_DIGIT_HEIGHT = (0.25, 0.5)  # of the scene's side
_DIGIT_ASPECT = (0.9, 1.1)
_DIGIT_TILT = 5  # degrees, either way
_MAX_DIGITS = 5
_MAX_OVERLAP = 0.05  # of the smaller of two boxes
_PLACEMENT_TRIALS = 40
_MIN_CONTRAST = 100  # grey levels between a digit and the ground beneath it


class Scans(NamedTuple):
    """A set of scans.

    Attributes:
        images: Opacity of the ink in 0..1, float32 `(N, 8, 8)`.
        labels: The digits 0..9, int64 `(N,)`.
        indices: Position of each scan in scikit-learn's `load_digits`, int64 `(N,)`.
    """

    images: np.ndarray
    labels: np.ndarray
    indices: np.ndarray


class Scene(NamedTuple):
    """A scene with digits.

    Attributes:
        image: BGR uint8 `(H, W, 3)`.
        boxes: `(x, y, width, height)` of each digit's ink in pixels, int64 `(N, 4)`.
        labels: The digits 0..9, int64 `(N,)`.
        indices: Which scan each digit was written with, int64 `(N,)`.
    """

    image: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    indices: np.ndarray


def load_scans() -> tuple[Scans, Scans]:
    """The 1,400 training and 397 validation scans.

    The split is fixed, random and stratified by class (`train_test_split` with seed 0).

    Returns:
        Training scans and validation scans.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    labels = digits.target.astype(np.int64)
    splits = train_test_split(
        np.arange(len(labels)), train_size=NUM_TRAIN_SCANS, stratify=labels, random_state=0
    )
    train, val = (
        Scans((digits.images[part] / 16).astype(np.float32), labels[part], part)
        for part in map(np.sort, splits)
    )
    return train, val


def render(scan: np.ndarray, width: int, height: int, tilt: float = 0.0) -> np.ndarray:
    """Write a scan large.

    Args:
        scan: Opacity in 0..1, `(8, 8)`.
        width: Width of the result in pixels.
        height: Height of the result in pixels.
        tilt: Counter-clockwise rotation in degrees.

    Returns:
        Opacity in 0..1, float32 `(height, width)`.
    """
    # One empty pixel around, because strokes that reach the scan's border would end cut off.
    canvas = np.pad(scan.astype(np.float32), 1)
    large = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_CUBIC)
    if tilt:
        turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), tilt, 1.0)
        large = cv2.warpAffine(large, turn, (width, height), flags=cv2.INTER_CUBIC)
    # The blur of the interpolation becomes an edge: smoothstep between the two opacities.
    ramp = np.clip((large - 0.25) / 0.5, 0, 1)
    return ramp * ramp * (3 - 2 * ramp)


def ink_box(opacity: np.ndarray) -> tuple[int, int, int, int]:
    """Smallest box around the ink.

    Args:
        opacity: In 0..1, `(H, W)`, with at least one pixel of ink.

    Returns:
        x, y, width and height in pixels.
    """
    ink = opacity >= INK_THRESHOLD
    columns, rows = np.flatnonzero(ink.any(0)), np.flatnonzero(ink.any(1))
    x, y = int(columns[0]), int(rows[0])
    return x, y, int(columns[-1]) + 1 - x, int(rows[-1]) + 1 - y


def paint_ground(rng: np.random.Generator, size: int) -> np.ndarray:
    """Cluttered ground: a gradient, smooth noise, blobs and pen strokes.

    Returns:
        BGR float32 `(size, size, 3)` in 0..255.
    """
    y, x = np.mgrid[:size, :size].astype(np.float32) / size - 0.5
    angle = np.float32(rng.uniform(0, 2 * np.pi))
    slope = (np.cos(angle) * x + np.sin(angle) * y)[..., None]
    base = _uniform(rng, -50, 50) + np.float32(rng.uniform(60, 195))
    coarse = 8 * rng.standard_normal((8, 8, 3), np.float32)
    ground = base + slope * _uniform(rng, -70, 70)
    ground += cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
    for _ in range(rng.integers(0, 3)):
        ground = _mix(ground, _blob(rng, size), base + _uniform(rng, -40, 40))
    for _ in range(rng.integers(0, 4)):
        ground = _mix(ground, _stroke(rng, size), base + _uniform(rng, -50, 50))
    return np.clip(ground, 0, 255)


def write(rng: np.random.Generator, ground: np.ndarray, opacity: np.ndarray) -> None:
    """Write on the ground, in place, in a random colour that stands out from it.

    Args:
        rng: Chooses the colour.
        ground: BGR float32 `(H, W, 3)` in 0..255.
        opacity: In 0..1, `(H, W)`.
    """
    ground[:] = _mix(ground, opacity, _contrasting_colour(rng, ground))


def add_grain(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """The image, float32 in 0..255, with the grain of a sensor, as uint8."""
    grain = np.float32(rng.uniform(2, 8)) * rng.standard_normal(image.shape, np.float32)
    return np.clip(np.round(image + grain), 0, 255).astype(np.uint8)


def compose_scene(rng: np.random.Generator, scans: Scans, size: int) -> Scene:
    """Write 1 to 5 digits of varied size, tilt and colour on cluttered ground.

    Args:
        rng: Source of every choice.
        scans: The scans to write with.
        size: Side of the square scene in pixels.

    Returns:
        The scene; fewer digits than drawn where no free place was found for one.
    """
    image = paint_ground(rng, size)
    boxes: list[tuple[int, int, int, int]] = []
    chosen: list[int] = []
    for scan in rng.integers(0, len(scans.labels), rng.integers(1, _MAX_DIGITS + 1)):
        height = rng.uniform(*_DIGIT_HEIGHT) * size
        width = height * rng.uniform(*_DIGIT_ASPECT)
        tilt = rng.uniform(-_DIGIT_TILT, _DIGIT_TILT)
        opacity = render(scans.images[scan], round(width), round(height), tilt)
        place = _free_place(rng, opacity, boxes, size)
        if place is None:
            continue
        left, top = place
        write(rng, image[top : top + opacity.shape[0], left : left + opacity.shape[1]], opacity)
        x, y, box_width, box_height = ink_box(opacity)
        boxes.append((left + x, top + y, box_width, box_height))
        chosen.append(scan)
    image = add_grain(rng, image)
    return Scene(image, np.array(boxes), scans.labels[chosen], scans.indices[chosen])


def _uniform(rng: np.random.Generator, low: float, high: float) -> np.ndarray:
    """One number a colour channel, float32 `(3,)`."""
    return rng.uniform(low, high, 3).astype(np.float32)


def _mix(ground: np.ndarray, opacity: np.ndarray, colour: np.ndarray) -> np.ndarray:
    return ground + opacity[..., None] * (colour - ground)


def _blob(rng: np.random.Generator, size: int) -> np.ndarray:
    mask = np.zeros((size, size), np.uint8)
    centre = tuple(int(c) for c in rng.integers(0, size, 2))
    axes = tuple(int(a) for a in rng.uniform(0.05, 0.25, 2) * size)
    cv2.ellipse(mask, centre, axes, rng.uniform(0, 180), 0, 360, 255, -1, cv2.LINE_AA)
    return mask.astype(np.float32) * np.float32(rng.uniform(0.3, 0.8) / 255)


def _stroke(rng: np.random.Generator, size: int) -> np.ndarray:
    """A curved pen stroke, thinner than those of the digits."""
    headings = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.35, 12))
    steps = np.stack([np.cos(headings), np.sin(headings)], 1) * rng.uniform(0.02, 0.07) * size
    points = rng.uniform(0, size, 2) + np.cumsum(steps, 0)
    mask = np.zeros((size, size), np.uint8)
    cv2.polylines(mask, [points.astype(np.int32)], False, 255, int(rng.integers(1, 3)), cv2.LINE_AA)
    return mask.astype(np.float32) * np.float32(rng.uniform(0.4, 0.9) / 255)


def _free_place(
    rng: np.random.Generator, opacity: np.ndarray, boxes: list, size: int
) -> tuple[int, int] | None:
    """Left and top for a drawing, such that its ink keeps clear of the boxes already there."""
    x, y, width, height = ink_box(opacity)
    for _ in range(_PLACEMENT_TRIALS):
        left = int(rng.integers(0, size - opacity.shape[1] + 1))
        top = int(rng.integers(0, size - opacity.shape[0] + 1))
        box = (left + x, top + y, width, height)
        if all(_overlap(box, other) <= _MAX_OVERLAP for other in boxes):
            return left, top
    return None


def _overlap(a: tuple, b: tuple) -> float:
    """Shared area of two boxes, as a part of the smaller one."""
    across = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    down = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    return max(across, 0) * max(down, 0) / min(a[2] * a[3], b[2] * b[3])


def _contrasting_colour(rng: np.random.Generator, region: np.ndarray) -> np.ndarray:
    """A random colour that stands out from a region's mean brightness."""
    ground = region.mean()
    darkest, lightest = ground - _MIN_CONTRAST, ground + _MIN_CONTRAST
    light = darkest < 0 or (lightest < 255 and rng.random() < 0.5)
    grey = rng.uniform(lightest, 255) if light else rng.uniform(0, darkest)
    return np.clip(grey + _uniform(rng, -40, 40), 0, 255)
