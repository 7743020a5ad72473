"""Writes scenes of handwritten digits with captions, to train and test the miniature of CLIP.

`OUT/train-0000.tar` and so on are shards in LAION's layout: `KEY.jpg`, `KEY.txt`, `KEY.json`. Half
of the scenes hold one digit, half hold two. `OUT/val.json` lists the scenes in `OUT/val/*.png` with
their captions, and the label of those with one digit. Scans to train with and scans to validate
with are those of `digits.py`. The same arguments give the same files.
"""

import os
from argparse import ArgumentParser, Namespace
from pathlib import Path

import numpy as np
from rich.progress import Progress

from mmdefocus.datasets import digits
from mmdefocus.datasets.captioned_digits import CaptionedScene, compose_pair, compose_single
from mmdefocus.datasets.pairs.writing import write_list, write_shards
from mmdefocus.engine.command import at_least, command
from mmdefocus.utils.errors import InputError
from mmdefocus.utils.files import folder_beside


def add_arguments(parser: ArgumentParser) -> None:
    """Adds what the command line may hold."""
    parser.add_argument('--out', type=Path, default=Path('data/captioned_digits'), metavar='DIR')
    parser.add_argument('--num-train', type=at_least(2), default=24_000, metavar='N')
    parser.add_argument('--num-val', type=at_least(2), default=800, metavar='N')
    parser.add_argument('--image-size', type=at_least(32), default=48, metavar='PIXELS')
    parser.add_argument('--seed', type=at_least(0), default=0)


def compose(scans: digits.Scans, seed: tuple[int, ...], size: int) -> CaptionedScene:
    """Returns the scene of a seed, whose last number says whether it has one digit or two."""
    rng = np.random.default_rng(seed)
    return (compose_pair if seed[-1] % 2 else compose_single)(rng, scans, size)


def write_train(folder: Path, scenes: list[CaptionedScene]) -> None:
    """Writes scenes as shards."""
    write_shards(folder, 'train', [(scene.image, scene.caption) for scene in scenes])


def write_val(folder: Path, scenes: list[CaptionedScene]) -> None:
    """Writes scenes as files with a list; those of one digit have its label."""
    labels = [scene.labels[0] if len(scene.labels) == 1 else None for scene in scenes]
    write_list(folder, 'val', [(scene.image, scene.caption) for scene in scenes], labels)


@command(add_arguments)
def main(args: Namespace) -> None:
    """Writes the data set."""
    if args.out.exists():
        raise InputError(f'{args.out}: exists; remove it first')
    with folder_beside(args.out) as beside, Progress() as progress:
        folder = beside / 'new'
        folder.mkdir()
        parts = zip(
            (args.num_train, args.num_val),
            digits.load_scans(),
            (write_train, write_val),
            strict=True,
        )
        for part, (count, scans, write) in enumerate(parts):
            seeds = [(args.seed, part, number) for number in range(count)]
            bar = progress.track(seeds, description=('train', 'val')[part])
            write(folder, [compose(scans, seed, args.image_size) for seed in bar])
        os.replace(folder, args.out)
    print(f'{args.num_train} + {args.num_val} scenes: {args.out}')


if __name__ == '__main__':
    main()
