"""Draws where trained models look: those of the demo, of CIFAR-10 and your own. Trains nothing.

What is drawn are the finished trainings under work_dirs whose test images are there: those of
`make demo`, beside each other the models of the paper's Figure 1 that
tools/analysis/ablation_runs.py has trained on CIFAR-10, and each other folder of work_dirs. Every
page is made by tools/analysis/over_focus.py, by the command that is shown. Results:
`work_dirs/figures/*/index.html` with its figures.
"""

import os
import shlex
import shutil
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope

from mmdefocus.analysis.focus.measure import spread_evenly
from mmdefocus.engine.command import at_least, command
from mmdefocus.engine.config.command_line import read_config
from mmdefocus.engine.resuming.newest import newest_checkpoint
from mmdefocus.utils.console import make_console
from mmdefocus.utils.errors import InputError

ROOT = Path(__file__).resolve().parents[1]
OVER_FOCUS = str(ROOT / 'tools/analysis/over_focus.py')
WORK_DIRS = Path('work_dirs')
OUT = WORK_DIRS / 'figures'
FIGURE_1 = ('vit-noncausal', 'vit-causal', 'mamba', 'defocus-mamba')
PAGES = {
    'digits': ('demo/classifier',),
    'digits_detector': ('demo/detector',),
    'cifar10': tuple(f'ablation_runs/{name}_cifar10/seed-0' for name in FIGURE_1),
}


class Training(NamedTuple):
    """A finished training."""

    config: Path
    checkpoint: str


def add_arguments(parser: ArgumentParser) -> None:
    """Adds what the command line may hold."""
    parser.add_argument(
        '--num-images', type=at_least(1), default=4, metavar='N', help='default: %(default)s'
    )


@command(add_arguments)
def main(args: Namespace) -> None:
    """Draws a page for each group of trainings.

    Raises:
        InputError: If there is no training whose images are there.
    """
    os.chdir(ROOT)
    console = make_console()
    drawn = []
    for name, trainings in pages(WORK_DIRS).items():
        out = OUT / name
        try:
            paths = test_images(trainings[0], args.num_images)
        except (InputError, OSError) as error:
            console.print(f'{name} is left out: {error}', highlight=False, soft_wrap=True)
            continue
        images = copied(paths, out / 'images')
        models = [str(part) for training in trainings for part in training]
        line = [OVER_FOCUS, *models, '--images', str(images), '--out', str(out)]
        console.print(shlex.join(['python', *line]), highlight=False, soft_wrap=True)
        if subprocess.run([sys.executable, *line]).returncode:  # which has said why
            console.print(f'{name} is left out')
        else:
            drawn.append(name)
    if not drawn:
        raise InputError(
            f'{WORK_DIRS}: nothing to draw, no finished training whose test images are there; make '
            'demo trains two'
        )


def pages(work_dirs: Path) -> dict[str, list[Training]]:
    """Returns the trainings of each page by its name, without pages that have none."""
    known = {work_dirs / folder for folders in PAGES.values() for folder in folders}
    found = {name: [work_dirs / folder for folder in PAGES[name]] for name in PAGES}
    found |= {path.name: [path] for path in sorted(work_dirs.glob('*/')) if path not in known}
    trainings = {name: list(finished(folders)) for name, folders in found.items()}
    return {name: group for name, group in trainings.items() if group}


def finished(folders: Sequence[Path]) -> Iterator[Training]:
    """Yields the trainings of those work directories that have a config and a checkpoint."""
    for folder in folders:
        configs = sorted(folder.glob('*.py'))
        checkpoint = newest_checkpoint([folder]) if len(configs) == 1 else None
        if checkpoint:
            yield Training(configs[0], checkpoint)


def test_images(training: Training, count: int) -> list[Path]:
    """Returns files of test images, spread evenly over the data of a training.

    Raises:
        InputError: If the config has no test data of image files.
        OSError: If the data are not there.
    """
    cfg = read_config(str(training.config), {})
    dataset_cfg = cfg.get('test_dataloader', {}).get('dataset')
    if not isinstance(dataset_cfg, Mapping):
        raise InputError(f'{training.config}: expected a test_dataloader')
    init_default_scope(cfg.default_scope)
    dataset = DATASETS.build(Config(dict(dataset_cfg)))
    places = spread_evenly(len(dataset), count)
    return [Path(dataset.get_data_info(place)['img_path']) for place in places]


def copied(paths: Sequence[Path], folder: Path) -> Path:
    """Copies files to a new folder, numbered and with the names of their own folders."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for number, path in enumerate(paths, start=1):
        shutil.copyfile(path, folder / f'{number}_{path.parent.name}_{path.name}')
    return folder


if __name__ == '__main__':
    main()
