"""Reduces a classifier to some of its classes, such as ImageNet-21K to ImageNet-1K.

Reads a checkpoint of this project and keeps its weights for inference, the averaged ones where
there are such, with the rows of its last layer that a file names. The auxiliary classifier, which
inference does not need and fine-tuning goes on with, is left out unless it is asked for.
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from torch import Tensor

from mmdefocus.checkpoints.checks import inference_checkpoint
from mmdefocus.checkpoints.class_map import read_class_map, select_classes
from mmdefocus.checkpoints.files import read_checkpoint, write_checkpoint
from mmdefocus.engine.command import command
from mmdefocus.utils.errors import InputError


def add_arguments(parser: ArgumentParser) -> None:
    """Adds what the command line may hold."""
    parser.add_argument('src', help='checkpoint of a classifier, a file or an address')
    parser.add_argument('dst', type=Path, help='file to write, .pth or .safetensors')
    parser.add_argument(
        '--class-map',
        type=Path,
        required=True,
        metavar='FILE',
        help='text file with, for each class to keep, the index of its row in the classifier',
    )
    parser.add_argument(
        '--auxiliary', action='store_true', help='keep these rows of the auxiliary classifier, too'
    )


def auxiliary_weights(path: str) -> dict[str, Tensor]:
    """Returns the weights of the auxiliary classifier of a checkpoint.

    Raises:
        InputError: If it has none, as one that was published for inference.
    """
    checkpoint = read_checkpoint(path)
    weights = checkpoint.get('state_dict', checkpoint)
    found = {name: w for name, w in weights.items() if name.startswith('head.aux_fc.')}
    if not found:
        raise InputError(f'--auxiliary: {path} has no auxiliary classifier; give an epoch_*.pth')
    return found


@command(add_arguments)
def main(args: Namespace) -> None:
    """Reduces one classifier."""
    rows = read_class_map(args.class_map)
    checkpoint = inference_checkpoint(args.src)
    if args.auxiliary:
        checkpoint['state_dict'] |= auxiliary_weights(args.src)
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
