"""Trains the model of a config, of mmdet or of mmpretrain."""

from collections.abc import Sequence

from mmdefocus.engine.config import command_line as cli
from mmdefocus.engine.config.check import (
    TRAIN_KEYS,
    check_data,
    check_keys,
    check_load_from,
    check_pretrained,
)
from mmdefocus.engine.config.errors import config_errors
from mmdefocus.utils.errors import one_line_errors
from mmdefocus.utils.memory import keep_freed_memory


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; without `argv`, with the arguments of the process."""
    keep_freed_memory()
    parser = cli.make_parser(__doc__)
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CKPT',
        help='go on from a checkpoint, or from the latest in the work directory',
    )
    parser.add_argument('--amp', action='store_true', help='train in mixed precision')
    parser.add_argument(
        '--auto-scale-lr', action='store_true', help='scale the learning rate with the batch size'
    )
    with one_line_errors():
        args = parser.parse_args(argv)
        cfg = cli.load_config(args)
        check_keys(cfg, TRAIN_KEYS)
        if args.resume:
            cli.resume(cfg, args.resume)
        if args.amp:
            cli.enable_amp(cfg)
        if args.auto_scale_lr:
            cli.enable_auto_scale_lr(cfg)
        check_data(cfg, ('train_dataloader', 'val_dataloader'))
        check_load_from(cfg)
        check_pretrained(cfg)
        with config_errors(cfg):
            cli.build_runner(cfg).train()


if __name__ == '__main__':
    main()
