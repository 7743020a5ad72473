"""Converts a checkpoint of the released implementation to this project's names.

The file is read as data; nothing in it is executed.
"""

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console

from mmdefocus.errors import InputError, one_line_errors
from mmdefocus.models.utils import Conversion, convert, read_weights
from mmdefocus.models.utils.official import KINDS


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('src', type=Path, help='released checkpoint, .pth or .safetensors')
    parser.add_argument('dst', type=Path, help='file to write, .pth or .safetensors')
    parser.add_argument('--kind', required=True, choices=KINDS, help='what to take out of SRC')
    parser.add_argument('--ema', action='store_true', help='take the averaged weights')
    return parser.parse_args(argv)


def report(conversion: Conversion, console: Console) -> None:
    """Shows every name that did not fit."""
    for name in conversion.missing:
        console.print(f'missing     {name}', highlight=False, soft_wrap=True)
    for name in conversion.unexpected:
        console.print(f'unexpected  {name} (left out)', highlight=False, soft_wrap=True)
    console.print(
        f'{len(conversion.state_dict)} weights converted, {len(conversion.missing)} missing, '
        f'{len(conversion.unexpected)} unexpected'
    )


def write(conversion: Conversion, meta: dict, dst: Path) -> None:
    """Writes beside `dst` and renames, so that no half file is ever found there."""
    dst.parent.mkdir(parents=True, exist_ok=True)
    beside = dst.with_name(f'{dst.name}.{os.getpid()}.part')
    try:
        if dst.suffix == '.safetensors':
            from safetensors.torch import save_file

            weights = {name: w.contiguous() for name, w in conversion.state_dict.items()}
            save_file(weights, beside, {'format': 'pt', 'meta': json.dumps(meta)})
        else:
            torch.save({'state_dict': conversion.state_dict, 'meta': meta}, beside)
        os.replace(beside, dst)
    finally:
        beside.unlink(missing_ok=True)


def main(argv: Sequence[str] | None = None) -> None:
    """Converts one file; exits with 1 and writes nothing if its backbone is incomplete."""
    args = parse_args(argv)
    console = Console()
    with one_line_errors():
        with console.status(f'reading {args.src}'):
            weights, rest = read_weights(args.src, args.ema)
        try:
            conversion = convert(weights, args.kind)
        except ValueError as error:
            raise InputError(f'{args.src}: {error}') from error
        report(conversion, console)
        if missing := conversion.missing_in_backbone:
            raise InputError(
                f'{args.src}: the backbone lacks {len(missing)} weights, beginning with '
                f'{missing[0]}; nothing written'
            )
        meta = {'kind': args.kind, 'backbone': conversion.backbone, 'source': args.src.name}
        # the class names, by which the inferencers label what they find
        if args.kind == 'detector' and 'dataset_meta' in (rest.get('meta') or {}):
            meta['dataset_meta'] = rest['meta']['dataset_meta']
        write(conversion, meta, args.dst)
    console.print(f'wrote {args.dst}', highlight=False, soft_wrap=True)


if __name__ == '__main__':
    main()
