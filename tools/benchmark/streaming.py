"""Measures reading a large mosaic of pictures, strip by strip or at once: time and peak memory.

The mosaic is made row after row out of the pictures of a folder and is never in memory as a whole,
unless it is read at once. Every strip is a megapixel. Times are those of the processor, medians
over the strips or the repetitions, so that other work on the machine hardly moves them. Peak memory
is that of the process, so that the sizes must rise.
"""

import resource
import statistics
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch

from mmdefocus import models
from mmdefocus.datasets.image_files import images_of
from mmdefocus.engine.command import at_least, command, some_path
from mmdefocus.utils.console import make_console, make_table
from mmdefocus.utils.errors import InputError

TILE = 32  # pixels
STRIP = 2**20  # pixels
SMALL = {
    'DefocusMamba': {'intermediate_size': 128, 'time_step_rank': 4},
    'DefocusRetNet': {'num_heads': 2, 'value_channels': 128, 'feedforward_channels': 128},
    'DefocusViT': {'num_heads': 2, 'feedforward_channels': 256},
}


def add_arguments(parser: ArgumentParser) -> None:
    """Adds what the command line may hold."""
    parser.add_argument('images', type=some_path, help='a folder of pictures, the tiles')
    parser.add_argument('--model', default='DefocusMamba', choices=SMALL, help='%(default)s')
    parser.add_argument('--arch', default='tiny', help='default %(default)s')
    parser.add_argument('--small', action='store_true', help='4 blocks of 64 channels instead')
    parser.add_argument('--patch-size', type=at_least(1), default=16, help='default %(default)s')
    parser.add_argument(
        '--sizes', type=int, nargs='+', default=[1024, 2048, 4096], help='powers of two from 1024'
    )
    parser.add_argument('--at-once', action='store_true', help='with forward, not by strips')
    parser.add_argument('--repeats', type=at_least(1), default=3, help='of forward')
    parser.add_argument('--forget', type=float, default=0.0, help='see ImageStream')
    parser.add_argument('--threads', type=at_least(1), help='default: as torch chooses')


def tiles_of(folder: Path) -> list[np.ndarray]:
    """Returns at most 256 pictures of a folder, in the size of a tile."""
    paths = images_of(folder)
    paths = paths[:: max(1, len(paths) // 256)]
    return [cv2.resize(cv2.imread(str(path)), (TILE, TILE)) for path in paths]


def mosaic(tiles: list[np.ndarray], size: int, rows: int) -> Iterator[torch.Tensor]:
    """Yields strips `(1, 3, rows, size)` of a square mosaic, normalised; `rows` of whole tiles."""
    generator = np.random.default_rng(0)
    for _ in range(size // rows):
        chosen = generator.integers(len(tiles), size=(rows // TILE, size // TILE))
        strip = np.concatenate(
            [np.concatenate([tiles[index] for index in line], axis=1) for line in chosen]
        )
        yield torch.from_numpy(strip).permute(2, 0, 1)[None].float() / 64 - 2


def seconds_of(
    model: models.ImageBackbone, args: Namespace, tiles: list[np.ndarray], size: int
) -> list[float]:
    """Encodes a mosaic and returns the seconds for each megapixel, without those of making it.

    There is a number for each strip, or for each of the repetitions of `forward`.
    """
    rows, spent = STRIP // size, []
    strips = mosaic(tiles, size, rows)
    if args.at_once:
        image = torch.cat(list(strips), dim=2)
        for _ in range(args.repeats):
            start = time.process_time()
            model(image)
            spent.append((time.process_time() - start) * STRIP / size**2)
        return spent
    stream = models.ImageStream(model, size, height=size, forget=args.forget)
    for strip in strips:
        start = time.process_time()
        stream.push(strip)
        stream.cls_token()
        spent.append(time.process_time() - start)
    return spent


def peak() -> str:
    """Returns the most memory that the process has had, in GiB."""
    return f'{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f}'


@command(add_arguments)
def main(args: Namespace) -> None:
    """Prints a line for each size."""
    largest = STRIP // max(TILE, args.patch_size)
    for size in args.sizes:
        if not 2**10 <= size <= largest or STRIP % size:
            raise InputError(f'--sizes: expected powers of two from 1024 to {largest}, got {size}')
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    tiles = tiles_of(args.images)
    arch = {'embed_dims': 64, 'depth': 4, **SMALL[args.model]} if args.small else args.arch
    build = getattr(models, args.model)
    model = build(arch, patch_size=args.patch_size, out_type='featmap').eval()
    table = make_table('pixels', 'tokens', 'CPU s / megapixel', 'peak GiB')
    table.add_row('none yet', '', '', peak())
    with torch.inference_mode():
        for size in args.sizes:
            rate = statistics.median(seconds_of(model, args, tiles, size))
            row = (f'{size}²', f'{(size // args.patch_size) ** 2}', f'{rate:.2f}', peak())
            table.add_row(*row)
            print(*row, flush=True)
    make_console().print(table)


if __name__ == '__main__':
    main()
