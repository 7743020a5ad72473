"""Tests a checkpoint with the metrics of its config, of mmdet or of mmpretrain."""

from argparse import ArgumentParser, Namespace

from mmengine.dist import is_main_process

from mmdefocus.engine.command import command, some_path, some_text
from mmdefocus.engine.config.changes import draw_to
from mmdefocus.engine.config.check import TEST_KEYS
from mmdefocus.engine.config.command_line import add_config, add_run_options, config_of
from mmdefocus.engine.launch import test
from mmdefocus.utils.errors import InputError
from mmdefocus.utils.files import write_json


def add_arguments(parser: ArgumentParser) -> None:
    """Adds what the command line may hold."""
    add_config(parser)
    add_run_options(parser)
    parser.add_argument('checkpoint', type=some_text, help='checkpoint file')
    parser.add_argument('--out', type=some_path, metavar='FILE.json', help='write the metrics here')
    parser.add_argument(
        '--show-dir', metavar='DIR', help='draw the predictions beside the ground truth here'
    )


@command(add_arguments)
def main(args: Namespace) -> None:
    """Tests, and writes the metrics."""
    if args.out and args.out.suffix != '.json':
        raise InputError(f'--out: expected a name that ends in .json, got {args.out}')
    with config_of(args, *TEST_KEYS) as cfg:
        cfg.load_from, cfg.resume = args.checkpoint, False
        if args.show_dir:
            draw_to(cfg, args.show_dir)
        metrics = test(cfg, look_at_data=not args.skip_data_check)
    if args.out and is_main_process():
        write_json(metrics, args.out)


if __name__ == '__main__':
    main()
