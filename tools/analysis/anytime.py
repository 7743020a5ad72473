"""Measures how often classifiers are right before they have read the whole image.

A run is a work directory of tools/train.py, as tools/analysis/ablation_runs.py leaves them. Its
newest checkpoint classifies the test data after each row of patches (of sections, for
`token_order='sections'`), in one pass with the state. OUT/anytime.json has all accuracies,
OUT/anytime.md a table of means and deviations over the seeds, and OUT/anytime.png and .pdf the
curves. OUT/runs keeps what was measured, so that only runs that are new or have changed are
measured again.
"""

from argparse import ArgumentParser, Namespace
from dataclasses import asdict

import torch
from rich.progress import Progress

from mmdefocus.analysis.anytime import Curve, answers_per_strip, as_markdown, draw_curves
from mmdefocus.analysis.focus.report import save_figure
from mmdefocus.apis.inference import Classifier, build_predictor
from mmdefocus.engine.checked import Checked
from mmdefocus.engine.command import command, some_path
from mmdefocus.engine.config.command_line import add_config_options, add_device, add_out
from mmdefocus.engine.config.errors import config_errors
from mmdefocus.engine.finished_runs import FinishedRun, finished_runs
from mmdefocus.utils.console import make_console
from mmdefocus.utils.errors import InputError
from mmdefocus.utils.files import replacing, write_json


def add_arguments(parser: ArgumentParser) -> None:
    """Adds what the command line may hold."""
    parser.add_argument(
        'work_dirs', nargs='+', type=some_path, metavar='WORK_DIR', help='of the runs'
    )
    add_out(parser)
    add_device(parser)
    add_config_options(parser)


@command(add_arguments)
def main(args: Namespace) -> None:
    """Measures the runs and writes what came of them."""
    console, curves, classes = make_console(), [], set()
    with Progress(console=console, transient=True) as progress:
        for run in finished_runs(args.work_dirs, args.cfg_options, console):
            found = run.remembered(
                args.out / 'runs', {}, lambda run=run: measure(run, args.device, progress)
            )
            curves.append(Curve(run.setting, run.seed, found['shares'], found['accuracies']))
            classes.add(found['classes'])
    write_json({'curves': [asdict(curve) for curve in curves]}, args.out / 'anytime.json')
    tables = as_markdown(curves)
    with replacing(args.out / 'anytime.md') as unfinished:
        unfinished.write_text(tables, 'utf-8')
    chance = 100 / max(classes) if len(classes) == 1 and all(classes) else None
    save_figure(draw_curves(curves, chance), args.out / 'anytime')
    print(tables, end='')


def measure(run: FinishedRun, device: str | None, progress: Progress) -> dict:
    """Returns the shares of the rows and the accuracies after the strips, and how many classes.

    Raises:
        InputError: If the run is none of a classifier that can be read strip by strip.
    """
    with config_errors(run.cfg):
        predictor = build_predictor(run.cfg, run.checkpoint, device)
    model = predictor.model
    if not isinstance(predictor, Classifier) or model.with_neck:
        raise InputError(f'{run.cfg.filename}: expected a classifier of mmpretrain without a neck')
    try:
        model.backbone.initial_state(1)
    except (AttributeError, ValueError) as error:
        raise InputError(f'{run.cfg.filename}: model.backbone: {error}') from error
    right, total, shape = 0, 0, None
    loader = Checked.build_dataloader(run.cfg.test_dataloader)
    for batch in progress.track(loader, description=f'{run.setting} seed {run.seed}'):
        batch = model.data_preprocessor(batch, False)
        images = batch['inputs']
        if shape not in (None, images.shape[2:]):
            raise InputError(
                f'{run.cfg.filename}: test_dataloader: expected images of one size, got '
                f'{tuple(shape)} and {tuple(images.shape[2:])}'
            )
        shape = images.shape[2:]
        labels = torch.cat([sample.gt_label for sample in batch['data_samples']])
        answers = answers_per_strip(model.backbone, model.head, images)
        right = right + (answers == labels.to(answers.device).unsqueeze(1)).sum(0).cpu()
        total += len(images)
    rows = range(model.backbone.patch_embed.pad_to, shape[0], model.backbone.patch_embed.pad_to)
    return {
        'shares': [row / shape[0] for row in (*rows, shape[0])],
        'accuracies': (100 * right / total).tolist(),
        'classes': len(predictor.classes),
    }


if __name__ == '__main__':
    main()
