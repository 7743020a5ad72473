"""Shows what runs of configs/ablations have reached, beside the paper's rows on ImageNet.

A run is a work directory: the config that trained it and the numbers it has logged, of which the
last validation counts. Runs of one config differ in their seed; the table has their mean and
deviation. Numbers of the paper are those of De-focus Mamba-Base on ImageNet-1K, Table 4.
"""

from argparse import ArgumentParser, Namespace
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import yaml

from mmdefocus.analysis.run_tables import spread
from mmdefocus.analysis.training_log import TOP_1, read_log
from mmdefocus.engine.command import command, some_path
from mmdefocus.utils.console import make_console, make_table
from mmdefocus.utils.errors import InputError

ABLATIONS = Path(__file__).parents[2] / 'configs' / 'ablations'
TABLES = ABLATIONS / 'table4.yml'


def add_arguments(parser: ArgumentParser) -> None:
    """Adds what the command line may hold."""
    parser.add_argument(
        'work_dirs',
        nargs='+',
        type=some_path,
        metavar='WORK_DIR',
        help='work directories of the runs',
    )


@command(add_arguments)
def main(args: Namespace) -> None:
    """Shows the tables."""
    found = collect(args.work_dirs)
    tables = yaml.safe_load(TABLES.read_text())
    if not any(row['config'] in found for table in tables for row in table['rows']):
        raise InputError(f'none of the runs is of a config in {ABLATIONS}')
    print_tables(tables, found)


def collect(work_dirs: Iterable[Path]) -> dict[str, list[float]]:
    """Returns the top-1 accuracies of the runs in percent, by the setting they trained.

    Raises:
        InputError: If a folder is no work directory of a run that was validated.
    """
    found = defaultdict(list)
    models = {}
    for folder in work_dirs:
        configs = sorted(folder.glob('*.py'))
        logs = sorted(folder.glob('*/vis_data/scalars.json'))
        if len(configs) != 1 or not logs:
            raise InputError(
                f'{folder}: expected the work directory of a run, with its config and '
                f'*/vis_data/scalars.json; got {len(configs)} configs and {len(logs)} logs'
            )
        model, setting = split_name(configs[0].stem)
        models[model] = folder
        found[setting].append(last_metric(logs))
    if len(models) > 1:
        (one, first), (another, second), *_ = models.items()
        raise InputError(f'{first} is a run of {one}, but {second} of {another}: show each alone')
    return dict(found)


def split_name(config: str) -> tuple[str, str]:
    """Returns model and setting of a config by its name.

    `defocus-mamba-digits_loss-cls` and `defocus-mamba-base_loss-cls_8xb128_in1k` are configs of
    `defocus-mamba-digits` and `defocus-mamba-base`, and vary `loss-cls`.
    """
    model, _, setting = config.removesuffix('_8xb128_in1k').partition('_')
    return model, setting


def last_metric(logs: Sequence[Path]) -> float:
    """Returns the last top-1 accuracy in the logs of a run, the oldest first.

    Raises:
        InputError: If there is none, or a log is damaged.
    """
    values = [scalars[TOP_1] for log in logs for scalars in read_log(log) if TOP_1 in scalars]
    if not values:
        raise InputError(f'{logs[-1]}: no {TOP_1}; the run has not reached a validation yet')
    return values[-1]


def print_tables(tables: Sequence[Mapping], found: Mapping[str, Sequence[float]]) -> None:
    """Shows a row for every setting of the paper, those without runs included."""
    console = make_console()
    for table in tables:
        shown = make_table(table['table'], 'top-1 of these runs', 'runs', "paper's, ImageNet-1K")
        for row in table['rows']:
            values = found.get(row['config'], ())
            shown.add_row(row['setting'], spread(values), str(len(values)), f'{row["paper"]:.1f}')
        console.print(shown)


if __name__ == '__main__':
    main()
