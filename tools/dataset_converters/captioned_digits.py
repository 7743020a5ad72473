"""Writes scenes of handwritten digits with captions, to train and test the miniature of CLIP.

`OUT/train-0000.tar` and so on are shards in LAION's layout: `KEY.jpg`, `KEY.txt`, `KEY.json`. Half
of the scenes hold one digit, half hold two. `OUT/val.json` lists the scenes in `OUT/val/*.png` with
their captions, and the label of those with one digit. Scans to train with and scans to validate
with are those of `digits.py`. The same arguments give the same files.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rich.progress import Progress

from mmdefocus.datasets import digits
from mmdefocus.datasets.captioned_digits import compose_pair, compose_single
from mmdefocus.datasets.pairs.scenes import CaptionedScene, write_scenes
from mmdefocus.engine.command import at_least, command, some_path


def add_arguments(parser: ArgumentParser) -> None:
    """Adds what the command line may hold."""
    parser.add_argument(
        '--out', type=some_path, default=Path('data/captioned_digits'), metavar='DIR'
    )
    parser.add_argument('--num-train', type=at_least(2), default=24_000, metavar='N')
    parser.add_argument('--num-val', type=at_least(2), default=800, metavar='N')
    parser.add_argument('--image-size', type=at_least(32), default=48, metavar='PIXELS')
    parser.add_argument('--seed', type=at_least(0), default=0)


def compose(scans: digits.Scans, seed: tuple[int, ...], size: int) -> CaptionedScene:
    """Returns the scene of a seed, whose last number says whether it has one digit or two."""
    rng = np.random.default_rng(seed)
    return (compose_pair if seed[-1] % 2 else compose_single)(rng, scans, size)


@command(add_arguments)
def main(args: Namespace) -> None:
    """Writes the data set."""
    with Progress() as progress:

        def compose_all(name: str, part: int, count: int) -> Iterator[CaptionedScene]:
            seeds = [(args.seed, part, number) for number in range(count)]
            for seed in progress.track(seeds, description=name):
                yield compose(scans[part], seed, args.image_size)

        scans = digits.load_scans()
        write_scenes(
            args.out,
            compose_all('train', 0, args.num_train),
            compose_all('val', 1, args.num_val),
        )
    print(f'{args.num_train} + {args.num_val} scenes: {args.out}')


if __name__ == '__main__':
    main()
