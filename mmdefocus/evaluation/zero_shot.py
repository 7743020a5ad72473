"""Zero-shot classification: the class whose captions are nearest to the image."""

from collections.abc import Sequence
from typing import Protocol, cast

import torch
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor

from ..registry import HOOKS, METRICS
from ..utils.captions import open_clip
from ..utils.checks import check_choice, check_positive
from ..utils.wrappers import unwrapped


class EmbedsClasses(Protocol):
    """What `ZeroShotAccuracy` asks of a model; `DefocusCLIP` has it."""

    training: bool

    def embed_classes(self, classes: Sequence[str], templates: Sequence[str] | str) -> Tensor:
        """Returns the classifier, `(K, E)`."""


@METRICS.register_module()
class ZeroShotAccuracy(BaseMetric):
    """How often the true class is among the k nearest, in percent.

    `ZeroShotHook` has to be among the hooks: it gives the metric the model, whose captions it
    embeds again in each evaluation.

    Args:
        classes: Names of the classes, in the order of the labels; 'imagenet' for those that
            open_clip has for ImageNet-1K; None for those of the data set.
        templates: Captions with `{}` for the name, or 'imagenet' for the 80 of CLIP.
        topk: Values of k.
        collect_device: As in MMEngine.
        prefix: As in MMEngine.

    Raises:
        ValueError: If there are fewer than two classes, or a k is not positive.
    """

    default_prefix = 'zero_shot'

    def __init__(
        self,
        classes: Sequence[str] | str | None = None,
        templates: Sequence[str] | str = 'imagenet',
        topk: Sequence[int] = (1,),
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        if isinstance(classes, str):
            check_choice('classes', classes, ('imagenet',))
            classes = open_clip().IMAGENET_CLASSNAMES
        for k in topk:
            check_positive('topk', k)
        self.classes = None if classes is None else _at_least_two(classes)
        self.templates = templates
        self.topk = tuple(topk)
        self.model: EmbedsClasses | None = None
        self.classifier: Tensor | None = None

    def attach(self, model: EmbedsClasses) -> None:
        """Takes the model of the evaluation that begins."""
        self.model, self.classifier = model, None

    def process(self, data_batch: object, data_samples: Sequence[dict]) -> None:
        """Counts the classes that are nearer than the true one.

        Args:
            data_batch: Not used.
            data_samples: Each with `image_features` `(E,)` and `gt_label`; those without a label
                are passed over.

        Raises:
            ValueError: If the metric has no model or no classes.
        """
        labelled = [sample for sample in data_samples if 'gt_label' in sample]
        if not labelled:
            return
        if self.model is None:
            raise ValueError(
                'ZeroShotAccuracy: no model; add dict(type="ZeroShotHook") to custom_hooks'
            )
        if self.classifier is None:
            classes = self.classes or self._classes_of_data()
            self.classifier = self.model.embed_classes(classes, self.templates)
        features = torch.stack([sample['image_features'] for sample in labelled])
        labels = torch.stack([torch.as_tensor(sample['gt_label']) for sample in labelled])
        scores = features @ self.classifier.to(features).T
        self.results += ranks(scores, labels.to(scores.device)).tolist()

    def _classes_of_data(self) -> tuple[str, ...]:
        classes = (self.dataset_meta or {}).get('classes')
        if classes is None:
            raise ValueError('ZeroShotAccuracy: the data set has no classes; give classes=[…]')
        return _at_least_two(classes)

    def compute_metrics(self, results: list[int]) -> dict[str, float]:
        """Returns `top1` and so on, in percent.

        Raises:
            ValueError: If no sample had a label.
        """
        if not results:
            raise ValueError('ZeroShotAccuracy: expected samples with gt_label, got none')
        found = torch.tensor(results)
        return {f'top{k}': 100 * (found < k).double().mean().item() for k in self.topk}


def _at_least_two(classes: Sequence[str]) -> tuple[str, ...]:
    if len(classes) < 2:
        raise ValueError(f'classes: expected at least 2, got {len(classes)}')
    return tuple(classes)


@HOOKS.register_module()
class ZeroShotHook(Hook):
    """Gives the model to the `ZeroShotAccuracy` of an evaluation before it begins."""

    def before_val(self, runner: Runner) -> None:
        """Attaches the model."""
        _attach(runner, runner.val_evaluator.metrics)

    def before_test(self, runner: Runner) -> None:
        """Attaches the model."""
        _attach(runner, runner.test_evaluator.metrics)


def ranks(scores: Tensor, labels: Tensor) -> Tensor:
    """Returns how many classes are nearer than the true one, `(B,)`; NaN counts as nearer.

    Args:
        scores: `(B, K)`.
        labels: Of the true classes, `(B,)`.
    """
    true = scores.gather(1, labels.reshape(-1, 1))
    not_nearer = (scores <= true).scatter(1, labels.reshape(-1, 1), True)
    return (~not_nearer).sum(dim=1)


def _attach(runner: Runner, metrics: Sequence[BaseMetric]) -> None:
    model = cast(EmbedsClasses, unwrapped(runner.model))
    for metric in metrics:
        if isinstance(metric, ZeroShotAccuracy):
            metric.attach(model)
