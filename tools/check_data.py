"""Checks the data of a config, of mmdet or of mmpretrain, and shows what is in it."""

from argparse import ArgumentParser, Namespace

from mmdefocus.engine.command import command
from mmdefocus.engine.config.check import check_data
from mmdefocus.engine.config.command_line import add_config, config_of
from mmdefocus.engine.data_check import LOADERS, check_datasets
from mmdefocus.utils.errors import InputError


def add_arguments(parser: ArgumentParser) -> None:
    """Adds what the command line may hold."""
    add_config(parser)
    parser.add_argument(
        '--images', action='store_true', help='decode every image and compare its size'
    )


@command(add_arguments)
def main(args: Namespace) -> None:
    """Checks all splits."""
    with config_of(args) as cfg:
        if not any(cfg.get(loader) for loader in LOADERS):
            raise InputError(f'{args.config}: the config has none of {", ".join(LOADERS)}')
        check_data(cfg, LOADERS)
        check_datasets(cfg, images=args.images)


if __name__ == '__main__':
    main()
