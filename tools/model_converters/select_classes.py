"""Reduces a classifier to some of its classes, such as ImageNet-21K to ImageNet-1K.

Reads a checkpoint of this project and keeps its weights for inference, the averaged ones where
there are such, with the rows of its last layer that a file names.
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from mmdefocus.checkpoints.checks import inference_checkpoint
from mmdefocus.checkpoints.class_map import read_class_map, select_classes
from mmdefocus.checkpoints.files import write_checkpoint
from mmdefocus.engine.command import command
from mmdefocus.utils.errors import InputError


def add_arguments(parser: ArgumentParser) -> None:
    """Adds what the command line may hold."""
    parser.add_argument('src', type=Path, help='checkpoint of a classifier')
    parser.add_argument('dst', type=Path, help='file to write, .pth or .safetensors')
    parser.add_argument(
        '--class-map',
        type=Path,
        required=True,
        metavar='FILE',
        help='text file with, for each class to keep, the index of its row in the classifier',
    )


@command(add_arguments)
def main(args: Namespace) -> None:
    """Reduces one classifier."""
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
    print(f'wrote {args.dst}: {len(rows)} classes')


if __name__ == '__main__':
    main()
