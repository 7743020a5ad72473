"""Converts a checkpoint of the released implementation to this project's names, or back.

The file is read as data; nothing in it is executed. `--reverse` makes of a converted file what it
was made of: the same names, in the same order, with the same weights.
"""

import argparse
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from mmdefocus.checkpoints.class_map import read_class_map, select_classes
from mmdefocus.checkpoints.files import Weights, read_weights, write_checkpoint
from mmdefocus.checkpoints.official import KINDS, Conversion, convert, revert
from mmdefocus.utils.errors import InputError, one_line_errors


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parses the command line.

    Raises:
        InputError: If options exclude each other.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('src', type=Path, help='checkpoint, .pth or .safetensors')
    parser.add_argument('dst', type=Path, help='file to write, .pth or .safetensors')
    parser.add_argument('--kind', required=True, choices=KINDS, help='what to take out of SRC')
    parser.add_argument('--ema', action='store_true', help='take the averaged weights')
    parser.add_argument(
        '--class-map',
        type=Path,
        metavar='FILE',
        help='text file with, for each class to keep, the index of its row in the classifier '
        '(ImageNet-22K to 1K)',
    )
    parser.add_argument(
        '--reverse', action='store_true', help="convert this project's names to the released ones"
    )
    args = parser.parse_args(argv)
    if args.class_map and args.kind != 'classifier':
        raise InputError(f'--class-map: expected --kind classifier, found {args.kind}')
    for name in ('ema', 'class_map'):
        if args.reverse and getattr(args, name):
            raise InputError(f'--reverse: cannot be combined with --{name.replace("_", "-")}')
    return args


def convert_file(args: argparse.Namespace, source: Weights, console: Console) -> dict:
    """Returns the converted checkpoint."""
    conversion = convert(source.tensors, args.kind)
    if args.class_map:
        rows = read_class_map(args.class_map)
        conversion = replace(conversion, state_dict=select_classes(conversion.state_dict, rows))
    report(conversion, args.src, console)
    meta = {
        'kind': args.kind,
        'backbone': conversion.backbone,
        'source': args.src.name,
        'released': {
            'layout': conversion.layout,
            'key': source.key,
            'ordered': isinstance(source.tensors, OrderedDict),
            'metadata': getattr(source.tensors, '_metadata', None),
        },
    }
    # the class names, by which the inferencers label what they find
    if args.kind == 'detector' and 'dataset_meta' in (source.rest.get('meta') or {}):
        meta['dataset_meta'] = source.rest['meta']['dataset_meta']
    return {'state_dict': conversion.state_dict, 'meta': meta}


def revert_file(args: argparse.Namespace, source: Weights, console: Console) -> dict:
    """Returns the checkpoint as it was released; one that was trained here in the same form."""
    is_detector = args.kind == 'detector'
    released = (source.rest.get('meta') or {}).get('released') or {
        'layout': 'detector' if is_detector else 'classifier',
        'key': 'state_dict' if is_detector else 'model',
        'ordered': True,
        'metadata': None,
    }
    weights = revert(source.tensors, args.kind, released['layout'])
    report(convert(weights, args.kind), args.src, console)
    if released['ordered']:
        weights = OrderedDict(weights)
        if released['metadata'] is not None:
            weights._metadata = released['metadata']
    if released['key'] is None or args.dst.suffix == '.safetensors':
        return weights
    return {released['key']: weights}


def report(conversion: Conversion, src: Path, console: Console) -> None:
    """Shows every name that did not fit.

    Raises:
        InputError: If weights of the backbone are missing.
    """
    for name in conversion.missing:
        console.print(f'missing     {name}', highlight=False, soft_wrap=True)
    for name in conversion.unexpected:
        console.print(f'unexpected  {name} (left out)', highlight=False, soft_wrap=True)
    console.print(
        f'{len(conversion.state_dict)} weights converted, {len(conversion.missing)} missing, '
        f'{len(conversion.unexpected)} unexpected'
    )
    if missing := conversion.missing_in_backbone:
        raise InputError(
            f'{src}: the backbone lacks {len(missing)} weights, beginning with {missing[0]}; '
            'nothing written'
        )


def main(argv: Sequence[str] | None = None) -> None:
    """Converts one file; exits with 1 and writes nothing if its backbone is incomplete."""
    console = Console()
    with one_line_errors():
        args = parse_args(argv)
        with console.status(f'reading {args.src}'):
            source = read_weights(args.src, args.ema)
        try:
            make = revert_file if args.reverse else convert_file
            checkpoint = make(args, source, console)
        except InputError:
            raise
        except ValueError as error:
            raise InputError(f'{args.src}: {error}') from error
        write_checkpoint(checkpoint, args.dst, digest=not args.reverse)
    console.print(f'wrote {args.dst}', highlight=False, soft_wrap=True)


if __name__ == '__main__':
    main()
