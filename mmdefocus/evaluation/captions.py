"""Pictures with captions beside them."""

from collections.abc import Sequence

import cv2
import numpy as np

from .drawing import LARGEST_PICTURE

SIDE = 144  # pixels of the shorter side of the image
LINE = 18  # pixels from one line of text to the next
MOST_LINES = LARGEST_PICTURE // LINE - 1
TEXT_WIDTH = 330
MARGIN = 8
FONT, SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.42


def with_captions(image: np.ndarray, lines: Sequence[str]) -> np.ndarray:
    """Returns an image, enlarged or reduced, with lines of text to its right.

    Its shorter side becomes 144 pixels, unless the longer one would have more than 4096.

    Args:
        image: BGR uint8 `(H, W, 3)`.
        lines: Texts; what is not ASCII is shown as `?`, which is all that OpenCV can write, and a
            text that is too long ends in dots. The last one counts those that are too many.

    Returns:
        BGR uint8, at least as high as the lines.
    """
    height, width = image.shape[:2]
    factor = min(SIDE / min(height, width), LARGEST_PICTURE / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    left = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)
    if len(lines) > MOST_LINES:
        lines = [*lines[: MOST_LINES - 1], f'and {len(lines) - MOST_LINES + 1} more']
    rows = max(len(left), LINE * (len(lines) + 1))
    picture = np.full((rows, left.shape[1] + TEXT_WIDTH, 3), 255, np.uint8)
    picture[: len(left), : left.shape[1]] = left
    for number, line in enumerate(lines, 1):
        text = _fitted(line.encode('ascii', 'replace').decode())
        place = (left.shape[1] + MARGIN, LINE * number)
        cv2.putText(picture, text, place, FONT, SCALE, (0, 0, 0), 1, cv2.LINE_AA)
    return picture


def _fitted(text: str) -> str:
    whole = text
    while cv2.getTextSize(text, FONT, SCALE, 1)[0][0] > TEXT_WIDTH - 2 * MARGIN:
        whole = whole[:-1]
        text = f'{whole.rstrip()}...'
    return text
