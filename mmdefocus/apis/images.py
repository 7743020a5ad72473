"""Images wherever they are: files, folders, addresses, arrays and images of Pillow."""

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit
from urllib.request import urlopen

import numpy as np
from PIL import Image, ImageOps

from ..datasets.image_files import images_of, left_out
from ..datasets.transforms import LoadImage
from ..datasets.transforms.load_image import to_8_bits
from ..utils.errors import InputError

logger = logging.getLogger(__name__)

TIMEOUT = 30  # seconds without an answer
LARGEST_FILE = 64 * 2**20  # bytes of an image behind an address
KINDS = 'a path, an address, an array or an image of Pillow'
DEEP_MODES = ('I', 'F')  # the modes of Pillow that begin so have more than 8 bits

Source = str | Path | np.ndarray | Image.Image


class NamedImage(NamedTuple):
    """An image and what to call it.

    Attributes:
        name: Its path or address as given; `array 1`, counted from 1, of one without a file.
        pixels: BGR, `(H, W, 3)`, uint8.
    """

    name: str
    pixels: np.ndarray

    @property
    def file_name(self) -> str:
        """The last part of the name, which need not be one that a file can have."""
        if is_address(self.name):
            return unquote(urlsplit(self.name).path).rpartition('/')[2] or 'image'
        return Path(self.name).name


def read_images(sources: Source | Iterable[Source], loader: LoadImage) -> Iterator[NamedImage]:
    """Yields images one after the other.

    Args:
        sources: One or several. A path is that of an image or of a folder of images; a warning in
            the log counts what else is in that folder. Of a file with several images, such as a GIF
            or TIFF, the first is read. An address of http or https is fetched, up to 64 MiB. An
            array is BGR `(H, W, 3)` or grey `(H, W)`, of uint8, uint16, or floats in [0, 1]. An
            image of Pillow is turned as its EXIF data say.
        loader: Decodes files.

    Raises:
        InputError: Names the source, if it cannot be read or holds no whole image.
    """
    if isinstance(sources, Source):
        sources = [sources]
    elif not isinstance(sources, Iterable):
        raise InputError(f'inputs: expected {KINDS}, or several, got {type(sources).__name__}')
    for number, source in enumerate(sources, 1):
        if isinstance(source, np.ndarray):
            yield NamedImage(f'array {number}', _checked(source, f'array {number}'))
        elif isinstance(source, Image.Image):
            name = os.fsdecode(getattr(source, 'filename', '')) or f'image {number}'
            yield NamedImage(name, _from_pillow(source, name))
        elif isinstance(source, str) and not source.strip():
            raise InputError(f'input {number}: expected {KINDS}, got an empty text')
        elif isinstance(source, str) and is_address(source):
            yield NamedImage(source, loader.decode(_fetch(source), source))
        elif isinstance(source, str | Path):
            images = images_of(Path(source))
            if rest := left_out(Path(source)):
                logger.warning('%s: left out %s', source, rest)
            for path in images:
                yield NamedImage(str(path), loader({'img_path': str(path)})['img'])
        else:
            raise InputError(f'input {number}: expected {KINDS}, got {type(source).__name__}')


def files_of(sources: Source | Iterable[Source]) -> list[Path]:
    """Returns the files that will be read of sources, as far as that can be told beforehand.

    It cannot of an iterator, which gives its sources once.
    """
    if isinstance(sources, Source):
        sources = [sources]
    files: list[Path] = []
    for source in sources if isinstance(sources, Sequence) else ():
        given = getattr(source, 'filename', None) if isinstance(source, Image.Image) else source
        if isinstance(given, Path) or (
            isinstance(given, str) and given.strip() and not is_address(given)
        ):
            with suppress(InputError):  # which is raised when it is read
                files += images_of(Path(given))
    return files


def is_address(source: str) -> bool:
    """Tells whether a text is an address of http or https."""
    return source.lower().startswith(('http://', 'https://'))


def _fetch(address: str) -> bytes:
    try:
        with urlopen(address, timeout=TIMEOUT) as answer:
            data: bytes = answer.read(LARGEST_FILE + 1)
            announced = answer.headers.get('Content-Length', '')
    except (HTTPException, OSError, ValueError) as error:
        reason = getattr(error, 'reason', error)
        raise InputError(f'{address}: cannot be fetched: {reason}') from error
    if len(data) > LARGEST_FILE:
        raise InputError(
            f'{address}: larger than {LARGEST_FILE // 2**20} MiB; copy it to a local file first'
        )
    if announced.isdigit() and int(announced) != len(data):
        raise InputError(f'{address}: broke off after {len(data)} of {announced} bytes; try again')
    return data


def _from_pillow(image: Image.Image, name: str) -> np.ndarray:
    try:
        upright = ImageOps.exif_transpose(image)
        if upright.mode.startswith(DEEP_MODES):
            return _checked(np.asarray(upright), name)
        return _checked(np.asarray(upright.convert('RGB'))[..., ::-1], name)
    except (OSError, SyntaxError) as error:  # the pixels of a file are read here
        raise InputError(f'{name}: not a whole image: {error}') from error


def _checked(array: np.ndarray, name: str) -> np.ndarray:
    """Returns an image as BGR, `(H, W, 3)`, uint8."""
    if not array.size or array.ndim not in (2, 3) or array.shape[2:] not in ((), (3,)):
        raise InputError(
            f'{name}: expected pixels (H, W, 3) in the order BGR, or (H, W), got {array.shape}'
        )
    if array.dtype.kind not in 'buif':
        raise InputError(f'{name}: expected numbers, got {array.dtype}')
    try:
        pixels = to_8_bits(array)
    except ValueError as error:
        raise InputError(f'{name}: {error}') from error
    if pixels.ndim == 2:
        pixels = pixels[..., None].repeat(3, axis=2)
    return np.ascontiguousarray(pixels)
