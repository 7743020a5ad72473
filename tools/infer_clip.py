"""Tells which of some labels fits an image: a table on stderr, JSON on stdout."""

import json
import sys
from argparse import ArgumentParser, Namespace

from mmdefocus.apis.zero_shot import ZeroShotClassifier
from mmdefocus.engine.command import command, some_path
from mmdefocus.engine.config.command_line import add_model, config_of
from mmdefocus.utils.console import make_console, make_table
from mmdefocus.utils.errors import InputError
from mmdefocus.utils.files import check_not_read, write_json


def add_arguments(parser: ArgumentParser) -> None:
    """Adds what the command line may hold."""
    parser.add_argument('image', type=some_path, help='an image')
    add_model(parser)
    parser.add_argument(
        '--labels', nargs='+', required=True, metavar='LABEL', help='at least two texts'
    )
    parser.add_argument(
        '--templates',
        nargs='+',
        default=['{}'],
        metavar='TEMPLATE',
        help='captions with {} for the label, or imagenet for the 80 of CLIP; default: the label',
    )
    parser.add_argument(
        '--out', type=some_path, metavar='FILE.json', help='write the JSON here, too'
    )


@command(add_arguments)
def main(args: Namespace) -> None:
    """Predicts one image."""
    if args.out and args.out.suffix != '.json':
        raise InputError(f'--out: expected a name that ends in .json, got {args.out}')
    if args.out:
        check_not_read('--out', [args.out], [args.image])
    if not args.image.is_file():
        raise InputError(f'{args.image}: no such image')
    templates = 'imagenet' if args.templates == ['imagenet'] else args.templates
    with config_of(args, 'model', 'test_dataloader') as cfg:
        classifier = ZeroShotClassifier(cfg, args.checkpoint, args.labels, templates, args.device)
    _, sample = classifier(args.image)
    result = {'image': str(args.image), **classifier.describe(sample)}
    table = make_table('label', 'probability')
    for row in result['labels']:
        table.add_row(row['label'], f'{100 * row["score"]:.2f} %')
    make_console(stderr=True).print(table)
    json.dump(result, sys.stdout, indent=2)
    print()
    if args.out:
        write_json(result, args.out)


if __name__ == '__main__':
    main()
