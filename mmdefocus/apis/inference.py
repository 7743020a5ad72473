"""Predictions for single images, by the model and the test pipeline of a config."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import init_default_scope
from mmengine.runner.checkpoint import load_state_dict
from mmengine.structures import BaseDataElement

from ..checkpoints.checks import checked_load
from ..checkpoints.files import read_checkpoint
from ..checkpoints.weights import check_numbers, weights_of
from ..datasets.config_parts import compare_classes, declared_classes, leaves, type_name
from ..datasets.dataset_class import dataset_class
from ..datasets.transforms import LoadImage
from ..evaluation.drawing import draw_boxes, draw_class
from ..models.build import build_model
from ..utils.devices import device_of
from ..utils.errors import InputError

TOP = 5
OF_THE_TRUTH = ('LoadAnnotations', 'TokenizeCaption')  # steps that read what is to be predicted


class Predictor(ABC):
    """What the kinds of models share: weights, class names and the pipeline.

    Args:
        cfg: A config of this kind of model; its default scope is set.
        checkpoint: A `.pth` or `.safetensors` file.
        device: Where to compute; by default as MMEngine chooses.

    Attributes:
        score_threshold: Boxes of a lower score are not drawn.
        model: The model with its weights, in eval mode.
        classes: Names of the classes by label, empty where nobody knows them.
        loader: Decodes image files.
        pipeline: Makes a sample for the model of what was decoded.

    Raises:
        InputError: If there is no such device, or the checkpoint cannot be read or does not fit the
            model.
    """

    score_threshold = 0.3

    def __init__(self, cfg: Config, checkpoint: str, device: str | None = None) -> None:
        place = device_of(device)
        init_default_scope(cfg.default_scope)
        content = read_checkpoint(checkpoint)
        weights = weights_of(content, checkpoint)
        check_numbers(weights, checkpoint)
        self.model = build_model(cfg)
        with checked_load(self.model, checkpoint, 'nothing'):
            load_state_dict(self.model, weights)
        self.model.to(place).eval()
        self.classes = _class_names(cfg, checkpoint, content)
        self.loader, self.pipeline = _split_pipeline(cfg)

    def load(self, path: Path) -> tuple[np.ndarray, dict[str, Any]]:
        """Returns the image, BGR `(H, W, 3)`, and a batch of it as the pipeline makes it.

        Raises:
            InputError: If the file holds no whole image.
        """
        if not path.is_file():
            raise InputError(f'{path}: no regular file')
        image = self.loader({'img_path': str(path)})['img']
        return image, pseudo_collate([self.prepare(image, str(path))])

    def prepare(self, image: np.ndarray, name: str) -> dict[str, Any]:
        """Returns a sample as the pipeline makes it of an image, BGR `(H, W, 3)`."""
        pixels = image.astype(np.float32) if self.loader.to_float32 else image
        shape = image.shape[:2]
        given = {'img_path': name, 'img_id': 0, 'img': pixels}
        return self.pipeline({**given, 'img_shape': shape, 'ori_shape': shape})

    @torch.inference_mode()
    def predict(self, batch: Mapping[str, Any]) -> list[BaseDataElement]:
        """Returns what the model predicts of each image of a batch, on the CPU."""
        return [sample.cpu() for sample in self.model.test_step(batch)]

    def __call__(self, path: Path) -> tuple[np.ndarray, BaseDataElement]:
        """Returns the image, BGR `(H, W, 3)`, and what the model predicts of it.

        Raises:
            InputError: If the file holds no whole image.
        """
        image, batch = self.load(path)
        (sample,) = self.predict(batch)
        return image, sample

    @abstractmethod
    def describe(self, sample: BaseDataElement) -> dict[str, Any]:
        """Returns what was predicted as lists, dicts, numbers and texts."""

    @abstractmethod
    def draw(self, image: np.ndarray, sample: BaseDataElement, path: Path) -> None:
        """Writes the image, BGR, with what was predicted."""

    def name(self, label: int) -> str:
        """Returns the name of a class, its number if it has none."""
        return self.classes[label] if label < len(self.classes) else str(label)


class Classifier(Predictor):
    """Predicts the class of an image, with a config of mmpretrain."""

    def describe(self, sample: BaseDataElement) -> dict[str, Any]:
        """Returns the best classes with scores in [0, 1], the best first."""
        scores, labels = sample.pred_score.sort(descending=True)
        best = zip(labels[:TOP].tolist(), scores[:TOP].tolist(), strict=True)
        return {
            'classes': [
                {'label': label, 'name': self.name(label), 'score': score} for label, score in best
            ]
        }

    def draw(self, image: np.ndarray, sample: BaseDataElement, path: Path) -> None:
        """Writes the image with its class, not smaller than 224 pixels."""
        draw_class(image, sample, self.classes, path)


class Detector(Predictor):
    """Predicts the boxes in an image, with a config of mmdet."""

    def describe(self, sample: BaseDataElement) -> dict[str, Any]:
        """Returns all boxes, x1, y1, x2, y2 in pixels of the image file, the best first."""
        found = sample.pred_instances
        found = found[found.scores.argsort(descending=True)]
        columns = (found.bboxes.tolist(), found.labels.tolist(), found.scores.tolist())
        return {
            'boxes': [
                {'bbox': box, 'label': label, 'name': self.name(label), 'score': score}
                for box, label, score in zip(*columns, strict=True)
            ]
        }

    def draw(self, image: np.ndarray, sample: BaseDataElement, path: Path) -> None:
        """Writes the image with the boxes above the threshold."""
        draw_boxes(image, sample, self.classes, path, self.score_threshold)


KINDS = {'mmdet': Detector, 'mmpretrain': Classifier}


def build_predictor(cfg: Config, checkpoint: str, device: str | None = None) -> Predictor:
    """Builds the predictor that the default scope of a config asks for.

    Raises:
        InputError: If the config is neither of mmdet nor of mmpretrain, or of a `DefocusCLIP`,
            which needs labels; or as `Predictor`.
    """
    scope = cfg.get('default_scope')
    if scope not in KINDS:
        raise InputError(
            f'{cfg.filename}: expected default_scope mmdet or mmpretrain, got {scope!r}'
        )
    if type_name(cfg.model.get('type')) == 'DefocusCLIP':
        raise InputError(
            f'{cfg.filename}: expected a classifier or a detector, got a DefocusCLIP, which needs '
            'labels; use tools/infer_clip.py, or Inferencer with labels'
        )
    return KINDS[scope](cfg, checkpoint, device)


def _class_names(cfg: Config, path: str, checkpoint: Mapping) -> tuple[str, ...]:
    """Returns the names that the checkpoint, the config or the class of the dataset knows.

    Raises:
        InputError: If the checkpoint and the config name other classes, or what is named is no
            sequence of names, one for each output of the model.
    """
    dataset = _first_dataset(cfg)
    declared = declared_classes(dataset)
    trained = _trained_classes(path, checkpoint)
    compare_classes(path, checkpoint, 'test_dataloader.dataset', declared)
    of_class = getattr(dataset_class(cfg, dataset), 'METAINFO', None) or {}
    source, names = f'checkpoint {path}: meta.dataset_meta.classes', trained
    if not names:
        source = (
            f'{cfg.filename}: classes of test_dataloader.dataset ({type_name(dataset["type"])})'
        )
        names = tuple(declared or of_class.get('classes') or ())
    outputs = _outputs(cfg)
    if names and outputs and len(names) != outputs:
        raise InputError(
            f'{source}: expected {outputs} names, one for each class of the model, got '
            f'{len(names)}; correct them or num_classes of the head'
        )
    return names


def _trained_classes(path: str, checkpoint: Mapping) -> tuple[str, ...]:
    """Returns the names that a checkpoint has, which may repeat, as those of ImageNet do."""
    meta = (checkpoint.get('meta') or {}).get('dataset_meta') or {}
    names = meta.get('classes') if isinstance(meta, Mapping) else meta
    if names is None:
        return ()
    if isinstance(names, str | Mapping) or not isinstance(names, Sequence):
        raise InputError(
            f'checkpoint {path}: meta.dataset_meta.classes: expected a sequence of names, got '
            f'{names!r:.60}; correct it in the file'
        )
    if others := [name for name in names if not isinstance(name, str)]:
        raise InputError(
            f'checkpoint {path}: meta.dataset_meta.classes: expected names, got {others[0]!r:.60} '
            'among them; correct it in the file'
        )
    return tuple(names)


def _outputs(cfg: Config) -> int | None:
    """Returns how many classes the head of a model tells apart, None if the config hides it."""
    head = cfg.model.get('head') or cfg.model.get('bbox_head') or cfg.model.get('roi_head')
    while isinstance(head, Mapping) and 'num_classes' not in head:
        head = head.get('bbox_head')
        if isinstance(head, Sequence):  # the stages of a cascade have the same classes
            head = head[0] if head else None
    number = head.get('num_classes') if isinstance(head, Mapping) else None
    return number if isinstance(number, int) else None


def _first_dataset(cfg: Config) -> Mapping:
    """Returns the dataset of the test, the first of several inside a wrapper."""
    return next(leaves(cfg.test_dataloader.dataset))


def _split_pipeline(cfg: Config) -> tuple[LoadImage, Compose]:
    """Returns the loader, one that names broken files, and the steps between it and the model."""
    steps = _first_dataset(cfg).get('pipeline', ())
    if not isinstance(steps, Sequence) or not all(
        isinstance(step, Mapping) and 'type' in step for step in steps
    ):
        raise InputError(
            f'{cfg.filename}: test_dataloader.dataset.pipeline: expected a list of steps, each a '
            f'dict with a type, got {steps!r}'
        )
    names = [type_name(step['type']) for step in steps]
    first = next((i for i, name in enumerate(names) if name.startswith('LoadImage')), None)
    if first is None:
        raise InputError(
            f'{cfg.filename}: test_dataloader.dataset.pipeline has no LoadImageFromFile'
        )
    given = ('to_float32', 'color_type', 'imdecode_backend', 'backend_args')
    loader = LoadImage(**{key: steps[first][key] for key in given if key in steps[first]})
    later = zip(steps[first + 1 :], names[first + 1 :], strict=True)
    return loader, Compose([step for step, name in later if name not in OF_THE_TRUTH])
