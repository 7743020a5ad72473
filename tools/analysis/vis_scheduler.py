"""Draws what the schedules of a config will do: learning rate, drop path and auxiliary weight.

Nothing is trained. The data are counted, unless --dataset-size says how many there are.
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from matplotlib.figure import Figure
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope

from mmdefocus.engine.command import at_least, command, some_path
from mmdefocus.engine.config.command_line import add_config, config_of
from mmdefocus.engine.config.schedule_curves import Curves, schedule_curves
from mmdefocus.utils.checks import check_positive_int
from mmdefocus.utils.console import make_console, make_table
from mmdefocus.utils.errors import InputError
from mmdefocus.utils.files import replacing


def add_arguments(parser: ArgumentParser) -> None:
    """Adds what the command line may hold."""
    add_config(parser)
    parser.add_argument(
        '--out', type=some_path, required=True, metavar='FILE.png', help='write this'
    )
    parser.add_argument('--dataset-size', type=at_least(1), metavar='N', help='images of an epoch')
    parser.add_argument('--gpus', type=at_least(1), default=1, help='of the training; default: 1')


@command(add_arguments)
def main(args: Namespace) -> None:
    """Draws the schedules of one config and shows where they begin and end."""
    if args.out.suffix != '.png':
        raise InputError(f'--out: expected a name that ends in .png, got {args.out}')
    with config_of(args, 'model', 'train_cfg', 'optim_wrapper', 'train_dataloader') as cfg:
        steps = steps_per_epoch(cfg, args)
        with make_console(stderr=True).status('going through each step: up to minutes'):
            curves = schedule_curves(cfg, steps)
    with replacing(args.out) as unfinished:
        draw(curves, Path(args.config).stem).savefig(unfinished, dpi=120)
    table = make_table('schedule', 'first', 'largest', 'last')
    for name, values in curves.values.items():
        table.add_row(name, *(f'{value:.3g}' for value in (values[0], max(values), values[-1])))
    make_console().print(table)
    print(f'wrote {args.out}')


def steps_per_epoch(cfg: Config, args: Namespace) -> int:
    """Returns the iterations of an epoch; 1 if the training does not count epochs.

    Raises:
        InputError: If the batch size is no number of images.
    """
    if 'max_epochs' not in cfg.train_cfg:
        return 1
    loader = cfg.train_dataloader
    try:
        check_positive_int('batch_size', batch_size := loader.get('batch_size'))
    except ValueError as error:
        raise InputError(f'{cfg.filename}: train_dataloader.{error}') from error
    size = args.dataset_size
    if size is None:
        with DefaultScope.overwrite_default_scope(cfg.get('default_scope')):
            size = len(DATASETS.build(loader.dataset))
    steps = size / (batch_size * args.gpus)
    return max(1, int(steps) if loader.get('drop_last') else -int(-steps // 1))


def draw(curves: Curves, title: str) -> Figure:
    """Draws each schedule in a panel of its own, above the same axis."""
    count = len(curves.values)
    figure = Figure(figsize=(8, 1 + 1.8 * count), layout='constrained')
    panels = figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0]
    for axes, (name, values) in zip(panels, curves.values.items(), strict=True):
        axes.plot(curves.progress, values)
        axes.set(ylabel=name, ylim=(0, None))
        axes.grid(alpha=0.3)
    panels[-1].set_xlabel(curves.unit)
    figure.suptitle(title)
    return figure


if __name__ == '__main__':
    main()
