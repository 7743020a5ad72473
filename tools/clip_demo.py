"""CLIP in miniature: De-focus Mamba and a plain ViT learn scenes of digits from their captions.

Runs the ordinary commands one after the other and shows each, so that any can be run alone. A step
that was finished before is not run again; `--restart` begins anew. Results:
`work_dirs/clip/summary.json` and `work_dirs/clip/captions.png`.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from argparse import ArgumentParser, Namespace
from pathlib import Path

import cv2
import numpy as np
from mmengine.config import Config

from mmdefocus.apis.zero_shot import ZeroShotClassifier
from mmdefocus.engine.command import command
from mmdefocus.evaluation.captions import with_captions
from mmdefocus.utils.console import make_console, make_table
from mmdefocus.utils.files import write_json

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = {
    'De-focus Mamba': 'configs/clip/defocus-mamba-digits.py',
    'ViT': 'configs/clip/vit-digits.py',
}
OUT = Path('work_dirs/clip')
SUMMARY_FILE = OUT / 'summary.json'
PICTURE_FILE = OUT / 'captions.png'

ROWS, COLUMNS = 6, 2
BEST = 5


def add_arguments(parser: ArgumentParser) -> None:
    """Adds what the command line may hold."""
    parser.add_argument('--restart', action='store_true', help=f'delete {OUT} and begin anew')


@command(add_arguments)
def main(args: Namespace) -> None:
    """Runs the steps that are missing and shows what came of them."""
    os.chdir(ROOT)
    if args.restart:
        shutil.rmtree(OUT, ignore_errors=True)
    configs = {name: Config.fromfile(path) for name, path in CONFIGS.items()}
    first = next(iter(configs.values()))
    data = Path(first.test_dataloader.dataset.data_root)
    begin = time.perf_counter()
    run(shlex.split(first.data_preparation)[1:], data)
    results = {}
    for name, config in configs.items():
        path, folder = CONFIGS[name], Path(config.work_dir)
        checkpoint = folder / f'epoch_{config.train_cfg.max_epochs}.pth'
        metrics = folder / 'metrics.json'
        run(['tools/train.py', path, '--resume'], checkpoint)
        run(['tools/test.py', path, str(checkpoint), '--out', str(metrics)], metrics)
        results[name] = json.loads(metrics.read_text())
    draw(first, data)
    write_json({**results, 'seconds': round(time.perf_counter() - begin, 1)}, SUMMARY_FILE)
    report(results)


def run(arguments: list[str], product: Path) -> None:
    """Runs a command unless its product is there; exits where it fails."""
    line = shlex.join(['python', *arguments])
    if product.exists():
        print(f'{product} is there, done before: {line}')
        return
    print(f'\n{line}', flush=True)
    # Threads of OpenMP that wait in a loop take the cores from each other.
    environment = {'GOMP_SPINCOUNT': '1000', **os.environ}
    try:
        code = subprocess.run([sys.executable, *arguments], env=environment).returncode
    except KeyboardInterrupt:
        sys.exit('stopped; the same command goes on from the last checkpoint')
    if code:
        sys.exit(f'the demo stops here, this command failed (exit code {code}): {line}')


def draw(config: Config, data: Path) -> None:
    """Draws held-out scenes with the captions that fit them best, out of all of them."""
    rows = json.loads((data / config.test_dataloader.dataset.ann_file).read_text())
    captions = sorted({row['caption'] for row in rows})
    checkpoint = Path(config.work_dir, f'epoch_{config.train_cfg.max_epochs}.pth')
    classifier = ZeroShotClassifier(config, str(checkpoint), captions)
    pictures = []
    for row in rows[: ROWS * COLUMNS]:
        image, sample = classifier(data / row['image'])
        best = classifier.describe(sample)['labels'][:BEST]
        lines = [f'{100 * found["score"]:.0f} % {found["label"]}' for found in best]
        pictures.append(with_captions(image, [f'caption: {row["caption"]}', *lines]))
    strips = [np.hstack(pictures[i : i + COLUMNS]) for i in range(0, len(pictures), COLUMNS)]
    if not cv2.imwrite(str(PICTURE_FILE), np.vstack(strips)):
        raise OSError(f'cannot write {PICTURE_FILE}')


def report(results: dict[str, dict[str, float]]) -> None:
    """Shows a table of the results, and where they are."""
    title = 'CLIP in miniature, on held-out scenes of handwritten digits, in percent'
    table = make_table('metric', *results, title=title)
    for metric in next(iter(results.values())):
        table.add_row(metric, *(f'{metrics[metric]:.1f}' for metrics in results.values()))
    print()
    make_console().print(table)
    print(f'summary: {SUMMARY_FILE}', f'picture: {PICTURE_FILE}', sep='\n')


if __name__ == '__main__':
    main()
