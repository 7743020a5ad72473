"""Converts a checkpoint of the released implementation to this project's names, or back.

The file is read as data; nothing in it is executed. `--reverse` restores the released file from a
converted one: the same names, in the same order, with the same weights.
"""

from argparse import ArgumentParser, Namespace
from collections import OrderedDict
from dataclasses import replace

from rich.markup import escape

from mmdefocus.checkpoints.class_map import read_class_map, select_classes
from mmdefocus.checkpoints.download import local_file
from mmdefocus.checkpoints.files import Weights, read_weights, write_checkpoint
from mmdefocus.checkpoints.official import KINDS, Conversion, convert, revert
from mmdefocus.engine.command import command, some_path, some_text
from mmdefocus.utils.checkpoint_meta import meta_of
from mmdefocus.utils.console import make_console
from mmdefocus.utils.errors import InputError


def add_arguments(parser: ArgumentParser) -> None:
    """Adds what the command line may hold."""
    parser.add_argument(
        'src', type=some_text, help='checkpoint, .pth or .safetensors, a file or an address'
    )
    parser.add_argument('dst', type=some_path, help='file to write, .pth or .safetensors')
    parser.add_argument('--kind', required=True, choices=KINDS, help='what to take out of SRC')
    parser.add_argument('--ema', action='store_true', help='take the averaged weights')
    parser.add_argument(
        '--class-map',
        type=some_path,
        metavar='FILE',
        help='text file with, for each class to keep, the index of its row in the classifier '
        '(ImageNet-22K to 1K)',
    )
    parser.add_argument(
        '--reverse', action='store_true', help="convert this project's names to the released ones"
    )


def check_arguments(args: Namespace) -> None:
    """Refuses options that exclude each other.

    Raises:
        InputError: Names the options.
    """
    if args.class_map and args.kind != 'classifier':
        raise InputError(f'--class-map: expected --kind classifier, got {args.kind}')
    for name in ('ema', 'class_map'):
        if args.reverse and getattr(args, name):
            raise InputError(f'--reverse: cannot be combined with --{name.replace("_", "-")}')


def convert_file(args: Namespace, source: Weights) -> dict:
    """Returns the converted checkpoint."""
    conversion = convert(source.tensors, args.kind)
    if args.class_map:
        rows = read_class_map(args.class_map)
        conversion = replace(conversion, state_dict=select_classes(conversion.state_dict, rows))
    report(conversion, args.src)
    meta = {
        'kind': args.kind,
        'backbone': conversion.backbone,
        'source': local_file(args.src).name,
        'released': {
            'layout': conversion.layout,
            'key': source.key,
            'ordered': isinstance(source.tensors, OrderedDict),
            'metadata': getattr(source.tensors, '_metadata', None),
        },
    }
    # the class names, by which the inferencers label what they find
    found = meta_of(source.rest, args.src)
    if args.kind == 'detector' and 'dataset_meta' in found:
        meta['dataset_meta'] = found['dataset_meta']
    return {'state_dict': conversion.state_dict, 'meta': meta}


def revert_file(args: Namespace, source: Weights) -> dict:
    """Returns the checkpoint as it was released; one that was trained here in the same form."""
    is_detector = args.kind == 'detector'
    released = meta_of(source.rest, args.src).get('released') or {
        'layout': 'detector' if is_detector else 'classifier',
        'key': 'state_dict' if is_detector else 'model',
        'ordered': True,
        'metadata': None,
    }
    weights = revert(source.tensors, args.kind, released['layout'])
    report(convert(weights, args.kind), args.src)
    if released['ordered']:
        weights = OrderedDict(weights)
        if released['metadata'] is not None:
            weights._metadata = released['metadata']
    if released['key'] is None or args.dst.suffix == '.safetensors':
        return weights
    return {released['key']: weights}


def report(conversion: Conversion, src: str) -> None:
    """Shows every name that did not fit.

    Raises:
        InputError: If weights of the backbone are missing.
    """
    for name in conversion.missing:
        print(f'missing     {name}')
    for name in conversion.unexpected:
        print(f'unexpected  {name} (left out)')
    print(
        f'{len(conversion.state_dict)} weights converted, {len(conversion.missing)} missing, '
        f'{len(conversion.unexpected)} unexpected'
    )
    if missing := conversion.missing_in_backbone:
        raise InputError(
            f'{src}: the backbone lacks {len(missing)} weights, beginning with {missing[0]}; '
            'nothing written'
        )


@command(add_arguments)
def main(args: Namespace) -> None:
    """Converts one file; writes nothing if its backbone is incomplete."""
    check_arguments(args)
    with make_console().status(escape(f'reading {args.src}')):
        source = read_weights(args.src, args.ema)
    try:
        checkpoint = (revert_file if args.reverse else convert_file)(args, source)
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f'{args.src}: {error}') from error
    write_checkpoint(checkpoint, args.dst, digest=not args.reverse)
    print(f'wrote {args.dst}')


if __name__ == '__main__':
    main()
