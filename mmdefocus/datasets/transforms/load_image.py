"""Loads an image, or says which file is broken."""

import mmcv
import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmengine import fileio

from ...registry import TRANSFORMS
from ...utils.errors import InputError

JPEG_START, JPEG_END = b'\xff\xd8', b'\xff\xd9'
PNG_START, PNG_END = b'\x89PNG', b'IEND'


@TRANSFORMS.register_module()
class LoadImage(LoadImageFromFile):
    """mmcv's `LoadImageFromFile` with an error that names the file.

    It also refuses a JPEG or PNG file that is cut short, which OpenCV fills with grey without a
    word. The inferencers of mmdet and mmpretrain look for `LoadImageFromFile` by its name, so that
    a `test_dataloader` keeps that one.

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
            InputError: If the file at `img_path` does not exist or holds no whole image.
        """
        path = results['img_path']
        try:
            data = fileio.get(path, backend_args=self.backend_args)
        except FileNotFoundError as error:
            raise InputError(f'{path}: no such image; make the dataset again') from error
        image = None if is_cut_short(data) else self._decode(data)
        if image is None:
            raise InputError(
                f'{path}: not a whole image ({len(data)} bytes); replace the file or take it out '
                'of the dataset'
            )
        results['img'] = image.astype(np.float32) if self.to_float32 else image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results

    def _decode(self, data: bytes) -> np.ndarray | None:
        """Decodes an image; None if it cannot be, which each decoder reports in its own way."""
        try:
            return mmcv.imfrombytes(data, flag=self.color_type, backend=self.imdecode_backend)
        except Exception:
            return None


def is_cut_short(data: bytes) -> bool:
    """Tells whether a JPEG or PNG file lacks its end; other formats are left to the decoder.

    A JPEG file may carry a whole thumbnail at its head and further bytes at its end, so that the
    end marker counts anywhere in the second half.
    """
    half = len(data) // 2
    if data.startswith(JPEG_START):
        return data.find(JPEG_END, half) < 0
    return data.startswith(PNG_START) and data.find(PNG_END, half) < 0
