"""Measures reading a large mosaic of pictures, strip by strip or at once: time and peak memory.

The mosaic is made row after row out of the pictures of a folder and is never in memory as a whole,
unless it is read at once. Peak memory is that of the process, so that the sizes must rise.
"""

import resource
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch

from mmdefocus import models
from mmdefocus.datasets.image_files import images_of
from mmdefocus.engine.command import command
from mmdefocus.utils.console import make_console, make_table

TILE = 128  # pixels
STRIP = 2**20  # pixels
SMALL = {'embed_dims': 64, 'depth': 4, 'intermediate_size': 128, 'time_step_rank': 4}


def add_arguments(parser: ArgumentParser) -> None:
    """Adds what the command line may hold."""
    parser.add_argument('images', type=Path, help='a folder of pictures, the tiles')
    parser.add_argument('--model', default='DefocusMamba', help='a backbone; default %(default)s')
    parser.add_argument('--arch', default='tiny', help='default %(default)s')
    parser.add_argument(
        '--small', action='store_true', help='DefocusMamba of 4 blocks and 64 channels instead'
    )
    parser.add_argument('--sizes', type=int, nargs='+', default=[1024, 2048, 4096])
    parser.add_argument('--at-once', action='store_true', help='with forward, not by strips')
    parser.add_argument('--forget', type=float, default=0.0, help='see ImageStream')
    parser.add_argument('--threads', type=int, help='default: as torch chooses')


def tiles_of(folder: Path) -> list[np.ndarray]:
    """Returns at most 256 pictures of a folder, enlarged to the size of a tile."""
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


def encode(model: models.ImageStream, args: Namespace, tiles: list[np.ndarray], size: int) -> float:
    """Encodes a mosaic and returns the seconds without those of making it."""
    rows = min(size, max(TILE, STRIP // size // TILE * TILE))
    strips = mosaic(tiles, size, rows)
    if args.at_once:
        image = torch.cat(list(strips), dim=2)
        start = time.perf_counter()
        model(image)
        return time.perf_counter() - start
    spent, stream = 0.0, models.ImageStream(model, size, height=size, forget=args.forget)
    for strip in strips:
        start = time.perf_counter()
        stream.push(strip)
        stream.cls_token()
        spent += time.perf_counter() - start
    return spent


@command(add_arguments)
def main(args: Namespace) -> None:
    """Prints a line for each size."""
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    tiles = tiles_of(args.images)
    arch = SMALL if args.small else args.arch
    model = getattr(models, args.model)(arch, out_type='featmap').eval()
    table = make_table('pixels', 'tokens', 's', 's / megapixel', 'peak GiB')
    with torch.inference_mode():
        for size in args.sizes:
            seconds = encode(model, args, tiles, size)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
            rate = seconds * 2**20 / size**2
            row = (f'{size}²', f'{(size // 16) ** 2}', f'{seconds:.1f}', f'{rate:.2f}')
            table.add_row(*row, f'{peak:.2f}')
            print(*row, f'{peak:.2f}', flush=True)
    make_console().print(table)


if __name__ == '__main__':
    main()
