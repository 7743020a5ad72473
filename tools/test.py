"""Tests a checkpoint with the metrics of its config, of mmdet or of mmpretrain."""

from collections.abc import Sequence
from pathlib import Path

from mmengine.dist import is_main_process

from mmdefocus.engine.config import command_line as cli
from mmdefocus.engine.config.check import (
    TEST_KEYS,
    check_data,
    check_keys,
    check_load_from,
)
from mmdefocus.engine.config.errors import config_errors
from mmdefocus.utils.errors import InputError, one_line_errors
from mmdefocus.utils.files import write_json
from mmdefocus.utils.memory import keep_freed_memory


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; without `argv`, with the arguments of the process."""
    keep_freed_memory()
    parser = cli.make_parser(__doc__)
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--out', type=Path, metavar='FILE.json', help='write the metrics here')
    parser.add_argument(
        '--show-dir', metavar='DIR', help='draw the predictions beside the ground truth here'
    )
    with one_line_errors():
        args = parser.parse_args(argv)
        if args.out and args.out.suffix != '.json':
            raise InputError(f'--out: expected a name that ends in .json, found {args.out}')
        cfg = cli.load_config(args)
        check_keys(cfg, TEST_KEYS)
        cfg.load_from, cfg.resume = args.checkpoint, False
        if args.show_dir:
            cli.draw_to(cfg, args.show_dir)
        check_data(cfg, ('test_dataloader',))
        check_load_from(cfg)
        with config_errors(cfg):
            metrics = cli.build_runner(cfg).test()
        if args.out and is_main_process():
            write_json(metrics, args.out)


if __name__ == '__main__':
    main()
