"""Writes pictures to files of any name."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np


def write_picture(path: Path, image: np.ndarray[Any, Any]) -> None:
    """Writes a picture in the format of the suffix.

    OpenCV's own writer crashes at a name that is no text, and never says why it failed.

    Args:
        path: The file, in a folder that exists.
        image: Grey or BGR uint8, `(H, W)` or `(H, W, 3)`.

    Raises:
        OSError: If the system refuses.
    """
    _, data = cv2.imencode(path.suffix, image)
    path.write_bytes(data.tobytes())
