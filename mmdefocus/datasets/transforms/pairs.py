"""Transforms of pairs of an image and its caption."""

from collections.abc import Sequence
from functools import lru_cache

import mmcv
import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.structures import BaseDataElement
from torch import Tensor

from ...registry import TRANSFORMS
from ...utils.captions import CONTEXT_LENGTH, check_templates, tokenize
from ...utils.checks import check_texts
from ...utils.errors import InputError
from .load_image import LoadImage


@TRANSFORMS.register_module()
class DecodeImage(LoadImage):
    """Decodes `img_bytes` as `LoadImage` does a file."""

    def transform(self, results: dict) -> dict:
        """Adds `img`, an array `(H, W, 3)`, its `img_shape` and `ori_shape` to the results.

        Raises:
            InputError: If the bytes are no whole image.
        """
        data = results.pop('img_bytes')
        try:
            image = self._decode(data)
        # Each decoder has errors of its own.
        except Exception as error:
            raise InputError(f'{results["img_path"]}: not a whole image: {error}') from error
        if image is None:
            raise InputError(f'{results["img_path"]}: not an image ({len(data)} bytes)')
        results['img'] = image.astype(np.float32) if self.to_float32 else image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results


@TRANSFORMS.register_module()
class ResizeToSquare(BaseTransform):
    """Resizes an image to a square, its sides independently.

    Args:
        size: Side in pixels.
    """

    def __init__(self, size: int) -> None:
        self.size = size

    def transform(self, results: dict) -> dict:
        """Replaces `img`."""
        if results['img'].shape[:2] != (self.size, self.size):
            results['img'] = mmcv.imresize(results['img'], (self.size, self.size))
        results['img_shape'] = results['img'].shape[:2]
        return results


@TRANSFORMS.register_module()
class CaptionFromLabel(BaseTransform):
    """Writes a caption for an image of a class, with a template drawn at random.

    Args:
        classes: Names of the classes, in the order of the labels.
        templates: Captions with `{}` for the name.

    Raises:
        InputError: If there are no templates, or one has not one `{}`.
    """

    def __init__(self, classes: Sequence[str], templates: Sequence[str]) -> None:
        self.classes = tuple(check_texts('classes', classes))
        self.templates = tuple(check_templates(templates))

    def transform(self, results: dict) -> dict:
        """Adds `caption`.

        Raises:
            InputError: If `gt_label` is the number of no class.
        """
        label = int(results['gt_label'])
        if not 0 <= label < len(self.classes):
            path, count = results.get('img_path'), len(self.classes)
            raise InputError(f'{path}: expected a label below {count}, got {label}')
        template = self.templates[np.random.randint(len(self.templates))]
        results['caption'] = template.format(self.classes[label])
        return results


@lru_cache(maxsize=2**14)  # captions from templates come again and again
def _tokens(caption: str, context_length: int) -> Tensor:
    return tokenize([caption], context_length)[0]


@TRANSFORMS.register_module()
class TokenizeCaption(BaseTransform):
    """Turns captions into tokens.

    Args:
        context_length: L, that of the text encoder. A longer caption is cut.
    """

    def __init__(self, context_length: int = CONTEXT_LENGTH) -> None:
        self.context_length = context_length

    def transform(self, results: dict) -> dict:
        """Adds `tokens`, int64 `(L,)`.

        Raises:
            InputError: If the caption is empty.
        """
        try:
            results['tokens'] = _tokens(results['caption'], self.context_length)
        except InputError as error:
            raise InputError(f'{results.get("img_path")}: {error}') from error
        return results


@TRANSFORMS.register_module()
class PackPair(BaseTransform):
    """Packs what `DefocusCLIP` takes.

    Args:
        with_sample: Whether to add a data sample with `img_path`, `caption` and `gt_label`, which
            metrics need and a training step does not.
    """

    def __init__(self, with_sample: bool = True) -> None:
        self.with_sample = with_sample

    def transform(self, results: dict) -> dict:
        """Returns `inputs`, uint8 `(3, H, W)`, `tokens` where there are some, and the sample."""
        image = np.ascontiguousarray(results['img'].transpose(2, 0, 1))
        packed = {'inputs': torch.from_numpy(image)}
        if 'tokens' in results:
            packed['tokens'] = results['tokens']
        if self.with_sample:
            known = {key: results[key] for key in ('img_path', 'caption') if key in results}
            sample = BaseDataElement(metainfo=known)
            if 'gt_label' in results:
                sample.set_field(torch.tensor(results['gt_label']), 'gt_label')
            packed['data_samples'] = sample
        return packed
