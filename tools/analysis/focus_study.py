"""Measures over-focus in finished trainings, and whether it goes with their accuracy.

A run is a work directory of tools/train.py, as tools/analysis/ablation_runs.py leaves them: the
config, its last checkpoint and the accuracies that it has logged. Runs of one config differ in
their seed. All runs are measured on the same images of the test data, spread evenly over them, in
all layers. OUT/study.json has every number, OUT/tables.md the tables with deviations and the
correlations with their intervals, OUT/figures the drawings as PNG and PDF. OUT/runs keeps what was
measured, so that only runs that are new or have changed are measured again.
"""

import math
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, init_default_scope
from rich.console import Console
from rich.progress import Progress
from torch import Tensor

from mmdefocus.analysis.focus.figures import draw_against_accuracy, draw_numbers
from mmdefocus.analysis.focus.layers import layers_of
from mmdefocus.analysis.focus.measure import measure_layer, spread_evenly
from mmdefocus.analysis.focus.report import SHOWN, save_figure, without_nan
from mmdefocus.analysis.focus.study import (
    LayerNumbers,
    Run,
    across_runs,
    as_markdown,
    correlation,
    correlation_within,
    overall,
    settings_of,
)
from mmdefocus.apis.inference import Classifier, Predictor, build_predictor
from mmdefocus.engine.command import at_least, command, some_path
from mmdefocus.engine.config.command_line import add_config_options, add_device, add_out
from mmdefocus.engine.config.errors import config_errors
from mmdefocus.engine.finished_runs import FinishedRun, finished_runs
from mmdefocus.utils.console import make_console, make_table
from mmdefocus.utils.errors import InputError
from mmdefocus.utils.files import replacing, write_json

STUDIED = (*SHOWN, 'field_agreement', 'outlier_norms')


def add_arguments(parser: ArgumentParser) -> None:
    """Adds what the command line may hold."""
    parser.add_argument(
        'work_dirs', nargs='+', type=some_path, metavar='WORK_DIR', help='of the runs'
    )
    add_out(parser)
    parser.add_argument(
        '--num-images', type=at_least(1), default=32, metavar='N', help='default: %(default)s'
    )
    add_device(parser)
    add_config_options(parser)


@command(add_arguments)
def main(args: Namespace) -> None:
    """Measures the runs and writes what came of them."""
    console = make_console()
    with Progress(console=console, transient=True) as progress:
        found = finished_runs(args.work_dirs, args.cfg_options, console)
        tracked = progress.track(found, total=len(args.work_dirs), description='runs')
        runs = [measured_run(run, args) for run in tracked]
    known = {name for run in runs for layer in run.layers for name in layer.numbers}
    names = [name for name in STUDIED if name in known]
    write_study(args.out, runs, names)
    print_correlations(runs, names, console)


def measured_run(run: FinishedRun, args: Namespace) -> Run:
    """Returns a run as it was measured before, or measures it.

    Raises:
        InputError: If its model cannot be measured.
    """

    def layers() -> object:
        with config_errors(run.cfg):
            predictor = build_predictor(run.cfg, run.checkpoint, args.device)
        measured = measure(predictor, run.cfg, args.num_images)
        return without_nan(
            [
                {'layer': layer, 'numbers': {name: x.tolist() for name, x in numbers.items()}}
                for layer, numbers in measured
            ]
        )

    found = run.remembered(args.out / 'runs', {'num_images': args.num_images}, layers)
    numbers = [
        LayerNumbers(layer['layer'], {name: as_tensor(x) for name, x in layer['numbers'].items()})
        for layer in found
    ]
    return Run(run.setting, run.seed, run.accuracy, numbers)


def as_tensor(values: Sequence[float | None]) -> Tensor:
    """Returns numbers, NaN for None."""
    numbers = [math.nan if value is None else value for value in values]
    return torch.tensor(numbers, dtype=torch.float64)


def measure(predictor: Predictor, cfg: Config, num_images: int) -> list[LayerNumbers]:
    """Measures all layers of a classifier on images of its test data.

    Raises:
        InputError: If it is no classifier.
    """
    if not isinstance(predictor, Classifier):
        raise InputError(f'{cfg.filename}: expected a classifier of mmpretrain')
    init_default_scope('mmpretrain')
    images, targets = test_images(predictor, cfg, num_images)
    depth = len(layers_of(predictor.model).blocks)
    return [
        LayerNumbers(layer, measure_layer(predictor.model, images, targets, layer).numbers)
        for layer in range(1, depth + 1)
    ]


def test_images(predictor: Predictor, cfg: Config, count: int) -> tuple[Tensor, Tensor]:
    """Returns images spread evenly over the test data, `(I, 3, H, W)`, and their labels, `(I,)`."""
    with config_errors(cfg):
        dataset = DATASETS.build(cfg.test_dataloader.dataset)
    places = spread_evenly(len(dataset), count)
    batch = predictor.model.data_preprocessor(pseudo_collate([dataset[i] for i in places]), False)
    labels = torch.cat([sample.gt_label for sample in batch['data_samples']])
    return batch['inputs'], labels


def write_study(out: Path, runs: Sequence[Run], names: Sequence[str]) -> None:
    """Writes `study.json`, `tables.md` and the figures."""
    settings = settings_of(runs)
    content = {
        'runs': [
            {
                'setting': run.setting,
                'seed': run.seed,
                'accuracy': run.accuracy,
                **{name: overall(run, name) for name in names},
            }
            for run in runs
        ],
        'correlations': {
            name: {
                'over_all_runs': correlation(runs, name)._asdict(),
                'among_seeds_of_a_setting': correlation_within(runs, name)._asdict(),
            }
            for name in names
        },
    }
    write_json(without_nan(content), out / 'study.json')
    with replacing(out / 'tables.md') as unfinished:
        unfinished.write_text(as_markdown(runs, names), 'utf-8')
    layers = {setting: across_runs(group) for setting, group in settings.items()}
    save_figure(draw_numbers(layers, names), out / 'figures' / 'layers')
    points = {
        setting: [(run.accuracy, {name: overall(run, name) for name in names}) for run in group]
        for setting, group in settings.items()
    }
    save_figure(draw_against_accuracy(points, names), out / 'figures' / 'accuracy')


def print_correlations(runs: Sequence[Run], names: Sequence[str], console: Console) -> None:
    """Shows how each number goes with accuracy."""
    title = f'correlation of {len(runs)} runs of {len(settings_of(runs))} settings with top-1'
    table = make_table('mean of layers', 'over all runs', 'among seeds of a setting', title=title)
    for name in names:
        both = correlation(runs, name), correlation_within(runs, name)
        table.add_row(name.replace('_', ' '), *map(str, both))
    console.print(table)


if __name__ == '__main__':
    main()
