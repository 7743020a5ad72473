"""Which of some labels fits an image, by a model that was trained on captions."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.structures import BaseDataElement

from ..datasets.config_parts import type_name
from ..evaluation.captions import with_captions
from ..utils.captions import check_length
from ..utils.checks import check_texts
from ..utils.config_keys import config_name
from ..utils.errors import InputError
from ..utils.pictures import write_picture
from .inference import Predictor


class ZeroShotClassifier(Predictor):
    """Predicts which of some labels fits an image, with a config of `DefocusCLIP`.

    Args:
        cfg: A config of this kind of model; its default scope is set.
        checkpoint: A `.pth` or `.safetensors` file.
        labels: At least two different texts.
        templates: Captions with `{}` for the label, or 'imagenet' for the 80 of CLIP.
        device: Where to compute; by default as MMEngine chooses.

    Raises:
        InputError: If the model is another one, a label is no text, empty or longer than its
            context, or the checkpoint cannot be read or does not fit.
        ValueError: If a template cannot be filled with a label.
    """

    def __init__(
        self,
        cfg: Config,
        checkpoint: str,
        labels: Sequence[str],
        templates: Sequence[str] | str = ('{}',),
        device: str | None = None,
    ) -> None:
        if (kind := type_name(cfg.model.get('type'))) != 'DefocusCLIP':
            raise InputError(f'{config_name(cfg)}: expected a DefocusCLIP, got {kind}')
        labels = check_texts('labels', labels)
        if len(set(labels)) < max(2, len(labels)):
            raise InputError(f'labels: expected at least two different ones, got {labels}')
        if not all(label.strip() for label in labels):
            raise InputError('labels: expected some text in each, got an empty one')
        super().__init__(cfg, checkpoint, device)
        check_length(labels, self.model.context_length)
        self.labels = tuple(labels)
        self.classifier = self.model.embed_classes(self.labels, templates)

    def describe(self, sample: BaseDataElement) -> dict[str, Any]:
        """Returns all labels with their probabilities, the best first."""
        classifier = self.classifier.to(sample.image_features)
        scale = self.model.loss_module.logit_scale.detach().to(classifier).exp()
        scores = (scale * classifier @ sample.image_features).softmax(dim=0)
        order = scores.argsort(descending=True).tolist()
        return {'labels': [{'label': self.labels[i], 'score': scores[i].item()} for i in order]}

    def draw(self, image: np.ndarray, sample: BaseDataElement, path: Path) -> None:
        """Writes the image with its labels, the best first.

        Raises:
            OSError: If the file cannot be written.
        """
        lines = [
            f'{100 * row["score"]:.1f} % {row["label"]}' for row in self.describe(sample)['labels']
        ]
        write_picture(path, with_captions(image, lines))
