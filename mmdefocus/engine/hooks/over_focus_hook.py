"""Logs during training how many tokens the model looks at."""

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor, nn

from ...analysis.focus.layers import check_weights, layers_of
from ...analysis.focus.maps import gradient_map, receptive_field
from ...analysis.focus.measure import row_numbers
from ...registry import HOOKS
from ...utils.wrappers import unwrapped

LOGGED = (
    'field_effective_tokens',
    'field_top_5_percent',
    'field_mean_distance',
    'gradient_effective_tokens',
)


@HOOKS.register_module()
class OverFocusHook(Hook):
    """Measures over-focus on a fixed batch of validation images every few epochs.

    For each measured layer l it logs `over_focus/layer_l/field_effective_tokens`,
    `field_top_5_percent` and `field_mean_distance` (in tokens) of the receptive field of CLS, and
    of a classifier also `gradient_effective_tokens`, means over the images, to the visualizer of
    the runner, where TensorBoard draws them as curves. Modes, weights, gradients and random streams
    of the training stay as they are. What a measurement costs is in the log.

    Args:
        interval: Epochs from one measurement to the next, 1 or more.
        num_images: Images of the batch, the first ones of the validation data.
        layers: Numbers of the layers, from 1; None for the first, the middle and the last.

    Raises:
        ValueError: If a number is not positive, the runner has no validation data, or the model
            has no such layers.
    """

    def __init__(
        self, interval: int = 1, num_images: int = 8, layers: Sequence[int] | None = None
    ) -> None:
        for name, number in (('interval', interval), ('num_images', num_images)):
            if number < 1:
                raise ValueError(f'OverFocusHook: {name}: expected 1 or more, got {number}')
        self.interval = interval
        self.num_images = num_images
        self.layers = list(layers or ())

    def before_train(self, runner: Runner) -> None:
        """Loads the batch.

        Raises:
            ValueError: If there are no validation data, no such layers, or no weights in float32.
        """
        if runner.val_loop is None:
            raise ValueError(
                'OverFocusHook measures validation images: give the config a val_dataloader or '
                'remove the hook'
            )
        model = unwrapped(runner.model)
        count = len(layers_of(model).blocks)
        self.layers = self.layers or list(dict.fromkeys((1, (count + 1) // 2, count)))
        for layer in self.layers:
            layers_of(model).block(layer)
        check_weights(model)
        with _random_streams_kept():
            dataset = runner.val_loop.dataloader.dataset
            samples = [dataset[i] for i in range(min(self.num_images, len(dataset)))]
        preprocess = model.get_submodule('data_preprocessor')
        batch = preprocess(pseudo_collate(samples), training=False)
        self._images = batch['inputs']
        self._targets = _labels(batch['data_samples'])

    @master_only
    def after_train_epoch(self, runner: Runner) -> None:
        """Measures and logs."""
        if not self.every_n_epochs(runner, self.interval):
            return
        start = time.perf_counter()
        with _random_streams_kept():
            scalars = measure(unwrapped(runner.model), self._images, self._targets, self.layers)
        step = runner.epoch + 1
        runner.visualizer.add_scalars(scalars, step=step)
        last = scalars[f'over_focus/layer_{self.layers[-1]}/field_effective_tokens']
        runner.logger.info(
            f'over-focus: CLS looks at {last:.1f} effective tokens in layer {self.layers[-1]} '
            f'(measured in {time.perf_counter() - start:.1f} s)'
        )


def measure(
    model: nn.Module, images: Tensor, targets: Tensor | None, layers: Sequence[int]
) -> dict[str, float]:
    """Returns the numbers that the hook logs, by their names.

    Args:
        model: A classifier, or a detector.
        images: `(B, 3, H, W)`, normalised.
        targets: `(B,)`, labels; None leaves out the gradients.
        layers: Numbers of layers, from 1.
    """
    scalars = {}
    for layer in layers:
        numbers = row_numbers('field', receptive_field(model, images, layer))
        if targets is not None:
            numbers |= row_numbers('gradient', gradient_map(model, images, targets, layer))
        for name in LOGGED:
            if name in numbers:
                scalars[f'over_focus/layer_{layer}/{name}'] = numbers[name].nanmean().item()
    return scalars


def _labels(samples: Sequence) -> Tensor | None:
    """Returns the labels of classification samples, None of others."""
    if not all('gt_label' in sample for sample in samples):
        return None
    return torch.cat([sample.gt_label for sample in samples])


@contextmanager
def _random_streams_kept() -> Iterator[None]:
    """Restores the random generators, which loading images and models may draw from."""
    states = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng():
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
