"""Answers of a classifier while an image is being read."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .. import models
from ..models.backbones import ClsAndTokens
from ..utils.errors import InputError
from .inference import TOP, Classifier, Predictor


@dataclass(frozen=True)
class Reading:
    """What is known after a strip.

    Attributes:
        rows: Rows of pixels read so far.
        featmap: What the strip adds to the feature map, `(h', W', C)`, float32.
        scores: Of all classes, `(K,)`, float32, of all rows so far; None of a detector.
    """

    rows: int
    featmap: np.ndarray
    scores: Tensor | None


class StreamReader:
    """Reads an image by strips with the backbone and the classifier of a predictor.

    The test pipeline is not applied: pixels are normalised and read at their own resolution. Boxes
    need the whole map, since the decoder of DINO attends to all of it; of a detector there is the
    map of its backbone alone.

    Args:
        predictor: Of a causal model.
        height: Of the image, in pixels.
        width: Of the image, in pixels.

    Raises:
        InputError: If the model cannot be read by strips.
    """

    def __init__(self, predictor: Predictor, height: int, width: int) -> None:
        self.predictor = predictor
        model = predictor.model
        self.classifies = isinstance(predictor, Classifier)
        if self.classifies and model.with_neck:
            raise InputError('model.neck: the CLS token goes to the head itself, expected none')
        if self.classifies and not self._reads_cls():
            raise InputError(
                f'model.head: {type(model.head).__name__} classifies tokens that a stream does not '
                'keep; expected one that classifies CLS, such as DefocusClsHead'
            )
        try:
            self.stream = models.ImageStream(model.backbone, width, height=height)
        except ValueError as error:
            raise InputError(f'model.backbone: {error}') from error
        patch = model.backbone.patch_size
        self.map_shape = math.ceil(height / patch), math.ceil(width / patch)
        self.channels: int = model.backbone.embed_dims

    @torch.inference_mode()
    def read(self, strips: Iterator[np.ndarray]) -> Iterator[Reading]:
        """Yields a reading after each strip `(h, width, 3)`, RGB, uint8."""
        for strip in strips:
            featmap = self.stream.push(self._normalised(strip))
            scores = self._scores(self.stream.cls_token()) if self.classifies else None
            yield Reading(self.stream.rows, featmap[0].permute(1, 2, 0).cpu().numpy(), scores)

    def best(self, scores: Tensor) -> list[dict]:
        """Returns the best classes with scores in [0, 1], the best first."""
        found = scores.topk(min(TOP, len(scores)))
        pairs = zip(found.indices.tolist(), found.values.tolist(), strict=True)
        return [
            {'label': label, 'name': self.predictor.name(label), 'score': score}
            for label, score in pairs
        ]

    def _reads_cls(self) -> bool:
        """Tells whether the head needs no token but CLS."""
        model = self.predictor.model
        return model.backbone.out_type == 'cls_token' or isinstance(
            model.head, models.DefocusClsHead
        )

    def _normalised(self, strip: np.ndarray) -> Tensor:
        preprocessor = self.predictor.model.data_preprocessor
        pixels = torch.from_numpy(np.ascontiguousarray(strip)).permute(2, 0, 1)
        pixels = pixels.to(next(self.predictor.model.parameters()).device).float()
        channels_reversed = getattr(preprocessor, 'to_rgb', None)
        if channels_reversed is None:  # the name in MMDetection
            channels_reversed = preprocessor._channel_conversion
        if not channels_reversed:
            pixels = pixels.flip(0)  # the model wants BGR
        if preprocessor._enable_normalize:
            pixels = (pixels - preprocessor.mean) / preprocessor.std
        return pixels.unsqueeze(0)

    def _scores(self, cls_token: Tensor) -> Tensor:
        model = self.predictor.model
        alone = model.backbone.out_type == 'cls_token'
        features = cls_token if alone else ClsAndTokens(cls_token, cls_token.unsqueeze(1))
        return model.head((features,))[0].softmax(-1).float().cpu()


def settled_at(answers: list[int]) -> int:
    """Returns the index of the answer from which on all are the last one."""
    last = len(answers) - 1
    while last > 0 and answers[last - 1] == answers[-1]:
        last -= 1
    return last
