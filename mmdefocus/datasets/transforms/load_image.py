"""Loads an image, or says which file is broken."""

import io

import cv2
import mmcv
import numpy as np
import simplejpeg
from mmcv.transforms import LoadImageFromFile
from mmengine import fileio
from PIL import Image

from ...registry import TRANSFORMS
from ...utils.errors import InputError

JPEG_START = b'\xff\xd8'
EXIF_SEARCHED = 1 << 16  # bytes; EXIF stands in the first segments of a JPEG file
ORIENTATION = 0x0112  # tag of EXIF
ARGUMENTS = {'type', 'to_float32', 'color_type', 'imdecode_backend', 'backend_args'}
SENSOR_DEPTHS = (8, 10, 12, 14, 16)  # bits


@TRANSFORMS.register_module()
class LoadImage(LoadImageFromFile):
    """mmcv's `LoadImageFromFile` with an error that names the file.

    It also refuses what OpenCV reads without a word: a JPEG file whose data are damaged or cut
    short (the rest would be grey), and an image of another size than its annotation says. Bytes
    behind the end of an image do no harm. Images of more than 8 bits are scaled by the fewest
    bits, out of 8, 10, 12, 14 and 16, that hold their data; OpenCV would take them all for 16.
    Images are turned as their files say, WebP and AVIF too, which OpenCV leaves as they are. Of a
    file with several images, such as a GIF or TIFF, the first is read.
    The inferencers of mmdet and mmpretrain look for `LoadImageFromFile` by its name, so that a
    `test_dataloader` keeps that one; `CheckedRunner` replaces it.

    Args:
        to_float32: Whether to convert the uint8 image to float32.
        color_type: The flag of `mmcv.imfrombytes`.
        imdecode_backend: The decoder of `mmcv.imfrombytes`.
        backend_args: The file backend of `mmengine.fileio.get`.
    """

    def __init__(
        self,
        to_float32: bool = False,
        color_type: str = 'color',
        imdecode_backend: str = 'cv2',
        backend_args: dict | None = None,
    ) -> None:
        super().__init__(to_float32, color_type, imdecode_backend, backend_args=backend_args)

    def transform(self, results: dict) -> dict:
        """Adds `img`, an array `(H, W, 3)`, its `img_shape` and `ori_shape` to the results.

        Raises:
            InputError: If the file at `img_path` does not exist or holds no whole image, or its
                size is not the `width` and `height` of the results, where these have both.
        """
        path = results['img_path']
        try:
            data = fileio.get(path, backend_args=self.backend_args)
        except FileNotFoundError as error:
            raise InputError(f'{path}: no such image; make the dataset again') from error
        except OSError as error:
            raise InputError(f'{path}: cannot be read: {error.strerror}') from error
        image = self.decode(data, path)
        _check_size(path, image, results)
        results['img'] = image.astype(np.float32) if self.to_float32 else image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results

    def decode(self, data: bytes, name: str) -> np.ndarray:
        """Returns the image that a file holds, `(H, W, 3)`.

        Args:
            data: What the file holds.
            name: What to call the file.

        Raises:
            InputError: If it is no whole image.
        """
        if not data:
            raise InputError(_broken(name, data))
        try:
            image = self._decode(data)
        # Each decoder has errors of its own.
        except Exception as error:
            raise InputError(_broken(name, data, f': {error}')) from error
        if image is None:
            raise InputError(_broken(name, data))
        return image

    def _decode(self, data: bytes) -> np.ndarray | None:
        plain = self.color_type == 'color' and self.imdecode_backend == 'cv2'
        if data.startswith(JPEG_START):
            if plain and simplejpeg.decode_jpeg_header(data)[2] in ('YCbCr', 'Gray', 'RGB'):
                image = simplejpeg.decode_jpeg(data, 'BGR')
                return _upright(image, data) if b'Exif' in data[:EXIF_SEARCHED] else image
            simplejpeg.decode_jpeg(data, 'GRAY')
        if plain:
            array, flags = np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
            turned = _is_turned(data)
            image = cv2.imdecode(array, flags | (cv2.IMREAD_IGNORE_ORIENTATION if turned else 0))
            if image is not None:
                image = to_8_bits(image)
            return _upright(image, data) if turned and image is not None else image
        return mmcv.imfrombytes(data, flag=self.color_type, backend=self.imdecode_backend)


def to_8_bits(image: np.ndarray) -> np.ndarray:
    """Scales an image to uint8 by the range of its data.

    Args:
        image: uint8, which is returned as it is, uint16, or floats from 0 to 1.

    Raises:
        ValueError: If it has another dtype or range.
    """
    if image.dtype == np.uint8:
        return image
    if image.dtype == np.uint16:
        needed = int(image.max()).bit_length()
        depth = next(depth for depth in SENSOR_DEPTHS if depth >= needed)
        return (image >> (depth - 8)).astype(np.uint8)
    if np.issubdtype(image.dtype, np.floating) and image.min() >= 0 and image.max() <= 1:
        return (image * 255).round().astype(np.uint8)
    raise ValueError(
        f'expected uint8, uint16 or floats in [0, 1], got {image.dtype} from {image.min()} to '
        f'{image.max()}'
    )


def _is_turned(data: bytes) -> bool:
    """Tells whether a file may turn its image in one of the ways that OpenCV does not know."""
    if data[:4] == b'RIFF' and data[8:12] == b'WEBP':
        return b'EXIF' in data
    start = data[:EXIF_SEARCHED]
    return data[4:12] == b'ftypavif' and (b'irot' in start or b'imir' in start)


def _upright(image: np.ndarray, data: bytes) -> np.ndarray:
    """Turns an image as the EXIF data of its file say, which OpenCV does of most formats."""
    orientation = Image.open(io.BytesIO(data)).getexif().get(ORIENTATION, 1)
    if orientation in (5, 6, 7, 8):
        image = image.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return np.ascontiguousarray(image)


def _check_size(path: str, image: np.ndarray, results: dict) -> None:
    height, width = image.shape[:2]
    stated = results.get('width'), results.get('height')
    if None not in stated and stated != (width, height):
        raise InputError(
            f'{path}: {width} x {height} pixels, but annotated as {stated[0]} x {stated[1]}; mend '
            'the annotation, whose boxes may be those of a turned or resized image'
        )


def _broken(path: str, data: bytes, reason: str = '') -> str:
    return (
        f'{path}: not a whole image ({len(data)} bytes){reason}; replace the file or take it out '
        'of the dataset'
    )


def with_strict_loading(node: object) -> object:
    """Returns a copy of a part of a config in which mmcv's loader is replaced by `LoadImage`.

    Steps with arguments that `LoadImage` does not have stay as they are.
    """
    if isinstance(node, list | tuple):
        return type(node)(with_strict_loading(child) for child in node)
    if not isinstance(node, dict):
        return node
    kind = node.get('type')
    is_loader = kind is LoadImageFromFile or (
        isinstance(kind, str) and kind.rpartition('.')[2] == 'LoadImageFromFile'
    )
    if is_loader and ARGUMENTS.issuperset(node):
        return {**node, 'type': LoadImage}
    return type(node)({key: with_strict_loading(child) for key, child in node.items()})
