"""Draws class activation maps: which places of an image speak for a class.

OUT has a picture for each image, the map over what the model reads of it. The class is the one that
the model predicts, or --target. Needs the package grad-cam, which comes with mmdefocus[cam].
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.registry import init_default_scope
from torch import Tensor

from mmdefocus.analysis.focus.class_activation import METHODS, class_activation
from mmdefocus.apis.inference import Classifier, build_predictor
from mmdefocus.datasets.image_files import images_of, left_out
from mmdefocus.engine.command import at_least, command
from mmdefocus.engine.config.command_line import add_images, config_of
from mmdefocus.utils.console import make_console
from mmdefocus.utils.errors import InputError
from mmdefocus.utils.files import check_not_read, fitting_name, replacing
from mmdefocus.utils.pictures import write_picture

SMALLEST = 224  # pixels of the shorter side of a picture
OPACITY = 0.5  # of the map over the image


def add_arguments(parser: ArgumentParser) -> None:
    """Adds what the command line may hold."""
    add_images(parser)
    parser.add_argument(
        '--method', choices=METHODS, default=METHODS[0], help='of grad-cam; default: %(default)s'
    )
    parser.add_argument('--layer', type=at_least(1), metavar='L', help='from 1; default: the last')
    parser.add_argument('--target', metavar='CLASS', help='name or number; default: the best')


@command(add_arguments)
def main(args: Namespace) -> None:
    """Draws all images."""
    console = make_console()
    paths = images_of(args.images)
    with config_of(args, 'model', 'test_dataloader') as cfg:
        predictor = build_predictor(cfg, args.checkpoint, args.device)
    if not isinstance(predictor, Classifier):
        raise InputError(f'{args.config}: expected a classifier of mmpretrain, got a detector')
    init_default_scope(cfg.default_scope)
    target = None if args.target is None else class_number(predictor, args.target)
    for path in paths:
        picture, images, best = read(predictor, path)
        number = best if target is None else target
        try:
            (found,) = class_activation(
                predictor.model, images, torch.tensor([number]), args.layer, args.method
            )
        except ModuleNotFoundError as error:
            raise InputError(str(error)) from error
        label = predictor.name(number).replace('/', '-')
        written = args.out / fitting_name(f'{path.name}_{label}.png')
        check_not_read('--out', [written], paths)
        with replacing(written) as unfinished:
            write_picture(unfinished, overlay(picture, found.numpy()))
        console.print(
            f'{written}: {predictor.name(number)}, best {predictor.name(best)}',
            highlight=False,
            soft_wrap=True,
        )
    if rest := left_out(args.images):
        console.print(f'left out of {args.images}: {rest}', highlight=False, soft_wrap=True)


def class_number(predictor: Classifier, name: str) -> int:
    """Returns the number of a class by its name, or by itself.

    Raises:
        InputError: If there is no such class.
    """
    if name in predictor.classes:
        return predictor.classes.index(name)
    if name.isdecimal() and int(name) < max(1, len(predictor.classes)):
        return int(name)
    raise InputError(
        f'--target: expected a class out of {", ".join(predictor.classes)}, got {name!r}'
    )


def read(predictor: Classifier, path: Path) -> tuple[np.ndarray, Tensor, int]:
    """Returns an image as the model reads it, BGR and normalised, and the class it predicts."""
    _, batch = predictor.load(path)
    picture = batch['inputs'][0].permute(1, 2, 0).numpy()
    data = predictor.model.data_preprocessor(batch, False)
    with torch.no_grad():
        (sample,) = predictor.model(**data, mode='predict')
    return picture, data['inputs'], int(sample.pred_label)


def overlay(picture: np.ndarray, map: np.ndarray) -> np.ndarray:
    """Lays a map `(H, W)` in [0, 1] over an image, BGR uint8 `(H, W, 3)`, not smaller than 224."""
    colours = cv2.applyColorMap((map * 255).astype(np.uint8), cv2.COLORMAP_CIVIDIS)
    mixed = cv2.addWeighted(colours, OPACITY, picture, 1 - OPACITY, 0)
    factor = max(1.0, SMALLEST / min(mixed.shape[:2]))
    return cv2.resize(mixed, None, fx=factor, fy=factor, interpolation=cv2.INTER_NEAREST)


if __name__ == '__main__':
    main()
