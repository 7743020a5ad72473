"""Images that are read row after row, also such as do not fit into memory.

TIFF is decoded tile by tile or strip by strip with tifffile, in the memory of one row of tiles; of
a pyramid any level can be read. Pillow has no decoder of rows for PNG, JPEG and its other formats:
they are decoded whole, 3 bytes a pixel.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from ..utils.errors import InputError

TIFF_SUFFIXES = ('.tif', '.tiff', '.svs', '.ndpi')
EIGHT_BITS = ('1', 'L', 'LA', 'P', 'PA', 'RGB', 'RGBA', 'CMYK', 'YCbCr', 'LAB', 'HSV')  # a channel
UPRIGHT = 1  # the orientation of TIFF and Exif in which the first row is at the top


@dataclass(frozen=True)
class Strips:
    """An image as a source of rows.

    Attributes:
        height: In pixels.
        width: In pixels.
        pieces: RGB, uint8, `(h, width, 3)`, from the top to the bottom, any h.
    """

    height: int
    width: int
    pieces: Iterator[np.ndarray]

    def of(self, rows: int) -> Iterator[np.ndarray]:
        """Yields the image in strips `(rows, width, 3)`; the last may have fewer rows."""
        waiting: list[np.ndarray] = []
        for piece in self.pieces:
            waiting.append(piece)
            while sum(map(len, waiting)) >= rows:
                joined = np.concatenate(waiting)
                yield joined[:rows]
                waiting = [joined[rows:]]
        if rest := [piece for piece in waiting if len(piece)]:
            yield np.concatenate(rest)


def open_strips(path: Path, level: int = 0) -> Strips:
    """Opens an image.

    Args:
        path: The file.
        level: Of a pyramid in a TIFF file, 0 for the largest.

    Raises:
        InputError: If the file holds no image that can be read so.
    """
    if not path.is_file():
        raise InputError(f'{path}: no regular file')
    if path.suffix.lower() in TIFF_SUFFIXES:
        return _open_tiff(path, level)
    if level:
        raise InputError(f'--level: {path} is no TIFF file, it has level 0 alone, got {level}')
    try:
        with Image.open(path) as image:
            mode = image.mode
            pixels = np.asarray(ImageOps.exif_transpose(image).convert('RGB'))
    except Image.DecompressionBombError as error:
        raise InputError(
            f'{path}: too large to decode whole, convert it to a tiled TIFF'
        ) from error
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f'{path}: no whole image: {error}') from error
    if mode not in EIGHT_BITS:
        raise InputError(f'{path}: expected 8 bits a channel, got mode {mode}')
    return Strips(pixels.shape[0], pixels.shape[1], iter((pixels,)))


def _open_tiff(path: Path, level: int) -> Strips:
    try:
        import tifffile
    except ImportError as error:
        raise InputError(
            f'{path}: TIFF files need tifffile and imagecodecs: pip install mmdefocus[stream]'
        ) from error
    try:
        levels = tifffile.TiffFile(path).series[0].levels
    except (tifffile.TiffFileError, IndexError) as error:
        raise InputError(f'{path}: no TIFF image: {error}') from error
    if not 0 <= level < len(levels):
        raise InputError(f'--level: {path} has levels 0 to {len(levels) - 1}, got {level}')
    if len(levels[level].pages) != 1:
        raise InputError(f'{path}: expected one image, got {len(levels[level].pages)} pages')
    page: Any = levels[level].pages[0]
    page = page.aspage()
    shape = page.shape if len(page.shape) == 3 else (*page.shape, 1)
    if page.dtype != np.uint8 or page.planarconfig != 1 or shape[2] not in (1, 3, 4):
        raise InputError(
            f'{path}: expected uint8 with 1, 3 or 4 channels, got {page.dtype} {page.shape}'
        )
    _check_colours(path, page)
    return Strips(shape[0], shape[1], _rows_of_tiles(path, page, shape[1]))


def _check_colours(path: Path, page: Any) -> None:
    """Raises an InputError if the samples of a page are no upright RGB or grey."""
    known = ['MINISBLACK', 'RGB']
    if page.compression.name == 'JPEG':
        known.append('YCBCR')  # which its decoder turns into RGB
    if (photometric := page.photometric.name) not in known:
        raise InputError(f'{path}: expected RGB or MINISBLACK, got {photometric}: convert it')
    turned = page.tags.get('Orientation')
    if turned is not None and turned.value != UPRIGHT:
        raise InputError(f'{path}: expected orientation {UPRIGHT}, got {turned.value:d}: turn it')


def _rows_of_tiles(path: Path, page: Any, width: int) -> Iterator[np.ndarray]:
    """Yields `(tile height, width, 3)`, decoded as they are asked for."""
    row: list[np.ndarray] = []
    for tile, (_, _, top, left, _), (_, tall, wide, _) in _decoded(path, page):
        height, inside = min(tall, page.imagelength - top), min(wide, width - left)
        if tile is None:  # sparse files leave tiles out
            tile = np.zeros((1, height, inside, page.samplesperpixel), np.uint8)
        tile = tile[0, :height, :inside]
        row.append(tile.repeat(3, 2) if tile.shape[2] == 1 else tile[..., :3])
        if left + inside == width:
            yield np.concatenate(row, axis=1)
            row = []


def _decoded(path: Path, page: Any) -> Iterator[tuple]:
    """Yields the tiles of a page; names the file if one cannot be decoded."""
    try:
        yield from page.segments(maxworkers=1)
    except Exception as error:  # each of the decoders has errors of its own
        raise InputError(f'{path}: a tile cannot be decoded: {error}') from error
