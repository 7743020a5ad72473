"""Classifies images, or finds objects in them: pictures and one JSON file.

OUT/predictions.json lists what was found in each image and which files could not be read;
OUT/pictures holds the images with what was found. Exits with 1 if an image could not be read; the
others are done all the same.
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from rich.console import Console
from rich.progress import track

from mmdefocus.apis.inference import Predictor, build_predictor
from mmdefocus.engine.command import command
from mmdefocus.engine.config.command_line import add_config, config_of
from mmdefocus.utils.console import make_console
from mmdefocus.utils.errors import InputError
from mmdefocus.utils.files import replacing, write_json

SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp')


def add_arguments(parser: ArgumentParser) -> None:
    """Adds what the command line may hold."""
    parser.add_argument('images', type=Path, help='an image, or a folder of images')
    add_config(parser)
    parser.add_argument('checkpoint', help='its weights, .pth or .safetensors')
    parser.add_argument('--out', type=Path, required=True, metavar='DIR', help='write here')
    parser.add_argument(
        '--score-thr',
        type=float,
        default=Predictor.score_threshold,
        metavar='SCORE',
        help='draw boxes of at least this score; default %(default)s; the JSON file has them all',
    )
    parser.add_argument('--device', help='such as cpu or cuda:1; default: a GPU if there is one')


def find_images(path: Path) -> list[Path]:
    """Returns a file, or the images of a folder in the order of their names.

    Raises:
        InputError: If there is none.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise InputError(f'{path}: no such file or folder')
    images = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
    if not images:
        raise InputError(f'{path}: no image in this folder; expected {", ".join(SUFFIXES)}')
    return images


def predict(images: list[Path], predictor: Predictor, out: Path, console: Console) -> list[dict]:
    """Predicts and draws one image after the other.

    Returns:
        The files that could not be read, with the reason.
    """
    done, failed = [], []
    try:
        for path in track(images, 'images', console=console):
            try:
                image, sample = predictor(path)
            except InputError as error:
                console.print(f'error: {error}', highlight=False, markup=False, soft_wrap=True)
                failed.append({'image': str(path), 'error': str(error)})
                continue
            height, width = image.shape[:2]
            size = {'width': width, 'height': height}
            done.append({'image': str(path), **size, **predictor.describe(sample)})
            # What OpenCV reads it also writes, under the suffix that says the format.
            suffix = '' if path.suffix.lower() in SUFFIXES else '.png'
            with replacing(out / 'pictures' / f'{path.name}{suffix}') as picture:
                predictor.draw(image, sample, picture)
    finally:
        write_json({'predictions': done, 'failed': failed}, out / 'predictions.json')
    return failed


@command(add_arguments)
def main(args: Namespace) -> int:
    """Predicts all images; returns 1 if one of them could not be read."""
    images = find_images(args.images)
    with config_of(args, 'model', 'test_dataloader') as cfg:
        predictor = build_predictor(cfg, args.checkpoint, args.device)
    predictor.score_threshold = args.score_thr
    failed = predict(images, predictor, args.out, make_console(stderr=True))
    print(f'{len(images) - len(failed)} of {len(images)} images: {args.out}/predictions.json')
    return 1 if failed else 0


if __name__ == '__main__':
    main()
