"""Draws the training images of a classifier as the model sees them, with their true classes.

MMDetection's browse_dataset does so for detectors. MMPretrain's fails with the Matplotlib that is
tested here.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS, init_default_scope
from torch import Tensor

from mmdefocus.datasets.transforms.load_image import with_strict_loading
from mmdefocus.engine.command import at_least, command
from mmdefocus.engine.config.command_line import add_config, add_out, config_of
from mmdefocus.evaluation.drawing import draw_class
from mmdefocus.utils.errors import InputError
from mmdefocus.utils.files import check_not_read, replacing


def add_arguments(parser: ArgumentParser) -> None:
    """Adds what the command line may hold."""
    add_config(parser)
    add_out(parser)
    parser.add_argument('--count', type=at_least(1), default=16, help='images; default: 16')


@command(add_arguments)
def main(args: Namespace) -> None:
    """Draws images of the data set, evenly spread over it."""
    with config_of(args, 'train_dataloader') as cfg:
        if cfg.get('default_scope') != 'mmpretrain':
            raise InputError(
                f'{args.config}: expected a classifier, with default_scope mmpretrain; for a '
                'detector: tools/openmmlab.py mmdet browse_dataset'
            )
        init_default_scope('mmpretrain')
        dataset = DATASETS.build(with_strict_loading(cfg.train_dataloader.dataset))
        count = min(args.count, len(dataset))
        numbers = np.linspace(0, len(dataset) - 1, count).round().astype(int).tolist()
        pictures = {number: args.out / f'{number:06d}.png' for number in numbers}
        if any(path.exists() for path in pictures.values()):
            check_not_read('--out', pictures.values(), files_of(dataset))
        for number, path in pictures.items():
            sample = dataset[number]
            if not isinstance(sample.get('inputs'), Tensor):
                raise InputError(
                    f'{args.config}: train_dataloader.dataset.pipeline: expected steps that make '
                    "an image for the model, got none; end it with dict(type='PackInputs')"
                )
            image = np.ascontiguousarray(sample['inputs'].permute(1, 2, 0).numpy())
            with replacing(path) as picture:
                truth = sample['data_samples']
                draw_class(image, truth, dataset.metainfo.get('classes', ()), picture, True)
    print(f'{count} of {len(dataset)} images: {args.out}')


def files_of(dataset: BaseDataset) -> Iterator[Path]:
    """Yields the images of a data set that are files of their own."""
    for number in range(len(dataset)):
        if path := dataset.get_data_info(number).get('img_path'):
            yield Path(path)


if __name__ == '__main__':
    main()
