"""Trains the model of a config, of mmdet or of mmpretrain.

Ends with status 75 when SIGTERM, SIGUSR1 or SIGINT has stopped the training: it is saved, and
--resume goes on. A process that torchrun has restarted resumes by itself.
"""

from argparse import ArgumentParser, Namespace

from mmdefocus.engine.command import command
from mmdefocus.engine.config.changes import enable_amp, enable_auto_scale_lr, resume, save_every
from mmdefocus.engine.config.check import TRAIN_KEYS
from mmdefocus.engine.config.command_line import add_config, add_run_options, config_of
from mmdefocus.engine.distributed import was_restarted
from mmdefocus.engine.launch import train


def add_arguments(parser: ArgumentParser) -> None:
    """Adds what the command line may hold."""
    add_config(parser)
    add_run_options(parser)
    start = parser.add_mutually_exclusive_group()
    start.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CKPT',
        help='go on from a checkpoint, or from the newest in the work directory',
    )
    start.add_argument(
        '--overwrite',
        action='store_true',
        help='delete the checkpoints in the work directory and begin anew',
    )
    parser.add_argument(
        '--save-minutes',
        type=float,
        metavar='M',
        help='save a checkpoint every M minutes as well, which the next one replaces',
    )
    parser.add_argument('--amp', action='store_true', help='train in mixed precision')
    parser.add_argument(
        '--auto-scale-lr', action='store_true', help='scale the learning rate with the batch size'
    )


@command(add_arguments)
def main(args: Namespace) -> None:
    """Trains."""
    with config_of(args, *TRAIN_KEYS) as cfg:
        if args.resume or was_restarted():
            resume(cfg, 'auto' if was_restarted() else args.resume)
        if args.save_minutes is not None:
            save_every(cfg, args.save_minutes)
        if args.amp:
            enable_amp(cfg)
        if args.auto_scale_lr:
            enable_auto_scale_lr(cfg)
        overwrite = args.overwrite and not was_restarted()
        train(cfg, look_at_data=not args.skip_data_check, overwrite=overwrite)


if __name__ == '__main__':
    main()
