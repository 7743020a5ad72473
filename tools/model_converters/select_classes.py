"""Reduces a classifier to some of its classes, such as ImageNet-21K to ImageNet-1K.

Reads a checkpoint of this project and keeps its weights for inference, the averaged ones where
there are such, with the rows of its last layer that a file names. The auxiliary classifier, which
inference does not need and fine-tuning goes on with, is left out unless it is asked for.
"""

from argparse import ArgumentParser, Namespace

from mmdefocus.checkpoints.checks import inference_checkpoint
from mmdefocus.checkpoints.class_map import read_class_map, select_classes
from mmdefocus.checkpoints.files import write_checkpoint
from mmdefocus.engine.command import command, some_path, some_text
from mmdefocus.utils.errors import InputError


def add_arguments(parser: ArgumentParser) -> None:
    """Adds what the command line may hold."""
    parser.add_argument(
        'src', type=some_text, help='checkpoint of a classifier, a file or an address'
    )
    parser.add_argument('dst', type=some_path, help='file to write, .pth or .safetensors')
    parser.add_argument(
        '--class-map',
        type=some_path,
        required=True,
        metavar='FILE',
        help='text file with, for each class to keep, the index of its row in the classifier',
    )
    parser.add_argument(
        '--auxiliary', action='store_true', help='keep these rows of the auxiliary classifier, too'
    )


@command(add_arguments)
def main(args: Namespace) -> None:
    """Reduces one classifier."""
    rows = read_class_map(args.class_map)
    checkpoint = inference_checkpoint(args.src, args.auxiliary)
    if args.auxiliary and not any('aux_fc.' in name for name in checkpoint['state_dict']):
        # as one that was published for inference
        raise InputError(
            f'--auxiliary: {args.src} has no auxiliary classifier; give an epoch_*.pth'
        )
    try:
        weights = select_classes(checkpoint['state_dict'], rows)
    except ValueError as error:
        raise InputError(f'{args.src}: {error}') from error
    meta = checkpoint['meta']
    if names := meta.get('dataset_meta', {}).get('classes'):
        if max(rows) >= len(names):
            raise InputError(
                f'{args.src}: expected a name for each row of the classifier, got {len(names)} and '
                f'row {max(rows)}; save it with the names of all classes, or with none'
            )
        meta['dataset_meta'] = {'classes': tuple(names[row] for row in rows)}
    write_checkpoint({'state_dict': weights, 'meta': meta}, args.dst)
    print(f'wrote {args.dst}: {len(rows)} classes')


if __name__ == '__main__':
    main()
