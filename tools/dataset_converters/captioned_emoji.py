"""Writes emoji with their names as captions, to train and test the miniature of CLIP.

Some concepts are held out: `OUT/train-0000.tar` and so on, shards in LAION's layout, hold the
others, and `OUT/val.json` lists pictures of those held out, which training never shows or names.
`OUT/classes.txt` has their names. The drawings are OpenMoji's, under CC BY-SA 4.0, as
`OUT/LICENSE.txt` says. The same arguments give the same files.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rich.progress import Progress

from mmdefocus.datasets.captioned_emoji import Emoji, compose, load_emoji, split_concepts
from mmdefocus.datasets.pairs.scenes import CaptionedScene, write_scenes
from mmdefocus.engine.command import at_least, command, some_path

LICENSE = """\
Drawings: OpenMoji (https://openmoji.org), the open-source emoji and icon project.
License: CC BY-SA 4.0, https://creativecommons.org/licenses/by-sa/4.0/
Changes: turned, scaled and put on coloured ground. These pictures are under the same license.
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Adds what the command line may hold."""
    parser.add_argument(
        '--out', type=some_path, default=Path('data/captioned_emoji'), metavar='DIR'
    )
    parser.add_argument('--held-out', type=at_least(2), default=100, metavar='CONCEPTS')
    parser.add_argument(
        '--num-train', type=at_least(1), default=8, metavar='N', help='pictures of each concept'
    )
    parser.add_argument(
        '--num-val', type=at_least(1), default=4, metavar='N', help='pictures of each held out'
    )
    parser.add_argument('--image-size', type=at_least(32), default=48, metavar='PIXELS')
    parser.add_argument('--seed', type=at_least(0), default=0)


@command(add_arguments)
def main(args: Namespace) -> None:
    """Writes the data set."""
    train, held_out = split_concepts(load_emoji(), args.held_out)
    with Progress() as progress:

        def compose_all(name: str, emoji: list[Emoji], number: int) -> Iterator[CaptionedScene]:
            """Yields pictures of all concepts, then again, so that shards are alike."""
            seeds = [(turn, label) for turn in range(number) for label in range(len(emoji))]
            for turn, label in progress.track(seeds, description=name):
                rng = np.random.default_rng((args.seed, len(emoji), turn, label))
                yield compose(rng, emoji[label], label, args.image_size)

        write_scenes(
            args.out,
            compose_all('train', train, args.num_train),
            compose_all('val', held_out, args.num_val),
            {
                'classes.txt': ''.join(f'{emoji.name}\n' for emoji in held_out),
                'LICENSE.txt': LICENSE,
            },
        )
    print(
        f'{args.num_train} x {len(train)} + {args.num_val} x {len(held_out)} pictures of emoji: '
        f'{args.out}'
    )


if __name__ == '__main__':
    main()
