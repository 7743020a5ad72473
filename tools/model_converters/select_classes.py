"""Makes a classifier of some classes of one that was trained on more, such as 1K of ImageNet-21K.

Reads a checkpoint of this project and keeps its weights for inference, the averaged ones where
there are such, with the rows of its last layer that a file names.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from mmdefocus.checkpoints.checks import inference_checkpoint
from mmdefocus.checkpoints.class_map import read_class_map, select_classes
from mmdefocus.checkpoints.files import write_checkpoint
from mmdefocus.utils.errors import InputError, one_line_errors


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('src', type=Path, help='checkpoint of a classifier')
    parser.add_argument('dst', type=Path, help='file to write, .pth or .safetensors')
    parser.add_argument(
        '--class-map',
        type=Path,
        required=True,
        metavar='FILE',
        help='text file with, for each class to keep, the index of its row in the classifier',
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; without `argv`, with the arguments of the process."""
    args = parse_args(argv)
    with one_line_errors():
        rows = read_class_map(args.class_map)
        checkpoint = inference_checkpoint(args.src)
        try:
            weights = select_classes(checkpoint['state_dict'], rows)
        except ValueError as error:
            raise InputError(f'{args.src}: {error}') from error
        meta = checkpoint['meta']
        if names := meta.get('dataset_meta', {}).get('classes'):
            meta['dataset_meta'] = {'classes': tuple(names[row] for row in rows)}
        write_checkpoint({'state_dict': weights, 'meta': meta}, args.dst)
    Console().print(f'wrote {args.dst}: {len(rows)} classes', highlight=False, soft_wrap=True)


if __name__ == '__main__':
    main()
