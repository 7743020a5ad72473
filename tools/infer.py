"""Classifies images, or finds objects in them: pictures and one JSON file.

OUT/predictions.json lists what was found in each image and which files could not be read;
OUT/pictures holds the images with what was found. Exits with 1 if an image could not be read; the
others are done all the same.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import track

from mmdefocus.apis.inference import Predictor, build_predictor
from mmdefocus.engine.config import command_line as cli
from mmdefocus.engine.config.check import check_keys
from mmdefocus.engine.config.errors import config_errors
from mmdefocus.utils.errors import InputError, one_line_errors
from mmdefocus.utils.files import replacing, write_json
from mmdefocus.utils.memory import keep_freed_memory

SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp')


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('images', type=Path, help='an image, or a folder of images')
    parser.add_argument('config', help='config file, of mmdet or of mmpretrain')
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
    cli.add_config_options(parser)
    return parser.parse_args(argv)


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


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; without `argv`, with the arguments of the process."""
    keep_freed_memory()
    console = Console(stderr=True)
    with one_line_errors():
        args = parse_args(argv)
        images = find_images(args.images)
        cfg = cli.read_config(args.config, args.cfg_options)
        check_keys(cfg, ('model', 'test_dataloader'))
        with config_errors(cfg):
            predictor = build_predictor(cfg, args.checkpoint, args.device)
        predictor.score_threshold = args.score_thr
        failed = predict(images, predictor, args.out, console)
    print(f'{len(images) - len(failed)} of {len(images)} images: {args.out}/predictions.json')
    raise SystemExit(1 if failed else 0)


if __name__ == '__main__':
    main()
