"""Classifies images, or finds objects in them: pictures and one JSON file.

OUT/predictions.json lists what was found in each image and which files could not be read;
OUT/pictures holds the images with what was found. Exits with 1 if an image could not be read; the
others are done all the same. Files of a folder that are no images by their suffix are left out, as
are the folders in it; the last line counts them. Of a GIF or TIFF with several, the first image is
read.
"""

import errno
import os
from argparse import ArgumentParser, Namespace
from pathlib import Path

from rich.console import Console
from rich.progress import track

from mmdefocus.apis import Inferencer, Predictor
from mmdefocus.datasets.image_files import images_of, left_out
from mmdefocus.engine.command import command
from mmdefocus.engine.config.command_line import add_images, config_of
from mmdefocus.evaluation.drawing import picture_name
from mmdefocus.utils.checks import check_share
from mmdefocus.utils.console import make_console
from mmdefocus.utils.errors import InputError, one_line
from mmdefocus.utils.files import check_not_read, check_place, write_json

DISK_IS_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


def add_arguments(parser: ArgumentParser) -> None:
    """Adds what the command line may hold."""
    add_images(parser)
    parser.add_argument(
        '--score-thr',
        type=float,
        default=Predictor.score_threshold,
        metavar='SCORE',
        help='draw boxes of at least this score; default %(default)s; the JSON file has them all',
    )


def predict(images: list[Path], args: Namespace, inferencer: Inferencer, console: Console) -> list:
    """Predicts and draws one image after the other.

    Returns:
        The files that could not be read, with the reason.
    """
    done, failed = [], []
    try:
        for path in track(images, 'images', console=console):
            try:
                done += inferencer(
                    path, out_dir=args.out / 'pictures', pred_score_thr=args.score_thr
                )
            # One file, whatever is wrong with it, does not stop the others.
            except Exception as error:
                full = isinstance(error, OSError) and error.errno in DISK_IS_FULL
                if full or os.environ.get('MMDEFOCUS_TRACEBACK') == '1':
                    raise
                message = (
                    one_line(error)
                    if isinstance(error, InputError)
                    else (f'{path}: {type(error).__name__}: {one_line(error)}')
                )
                console.print(f'error: {message}', highlight=False, markup=False, soft_wrap=True)
                failed.append({'image': str(path), 'error': message})
    finally:
        write_json({'predictions': done, 'failed': failed}, args.out / 'predictions.json')
    return failed


@command(add_arguments)
def main(args: Namespace) -> int:
    """Predicts all images; returns 1 if one of them could not be read."""
    check_share('--score-thr', args.score_thr)
    images = images_of(args.images)
    pictures = args.out / 'pictures'
    check_not_read('--out', [pictures / picture_name(path.name) for path in images], images)
    with config_of(args, 'model', 'test_dataloader') as cfg:
        inferencer = Inferencer(cfg, args.checkpoint, args.device)
    for file in (args.out / 'predictions.json', pictures / 'picture'):
        check_place(file)
    failed = predict(images, args, inferencer, make_console(stderr=True))
    print(f'{len(images) - len(failed)} of {len(images)} images: {args.out}/predictions.json')
    if rest := left_out(args.images):
        print(f'left out of {args.images}: {rest}')
    return 1 if failed else 0


if __name__ == '__main__':
    main()
