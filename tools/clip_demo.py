"""CLIP in miniature: De-focus Mamba and a plain ViT learn scenes of digits from their captions.

Runs the ordinary commands and shows each, so that any can be run alone; the two models train at the
same time, with a core each. A step that was finished before is not run again; `--restart` begins
anew. All is written into the current folder. Results:
`work_dirs/clip/summary.json` and `work_dirs/clip/captions.png`.
"""

import json
import shlex
import time
from argparse import Namespace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from mmengine.config import Config

from mmdefocus.apis.zero_shot import ZeroShotClassifier
from mmdefocus.engine.command import command
from mmdefocus.engine.demo import add_restart, as_seen_here, begin, run_tools
from mmdefocus.evaluation.captions import with_captions
from mmdefocus.utils.console import make_console, make_table
from mmdefocus.utils.files import write_json

here = partial(as_seen_here, Path(__file__).resolve().parents[1])
CONFIGS = {
    'De-focus Mamba': 'configs/clip/defocus-mamba-digits.py',
    'ViT': 'configs/clip/vit-digits.py',
}
OUT = Path('work_dirs/clip')
SUMMARY_FILE = OUT / 'summary.json'
PICTURE_FILE = OUT / 'captions.png'

ROWS, COLUMNS = 6, 2
BEST = 5


@command(partial(add_restart, out=OUT))
def main(args: Namespace) -> None:
    """Runs the steps that are missing and shows what came of them."""
    begin(OUT, args.restart)
    start = time.perf_counter()
    configs = {name: Config.fromfile(here(path)) for name, path in CONFIGS.items()}
    first = next(iter(configs.values()))
    data = Path(first.test_dataloader.dataset.data_root)
    run({data: [here(shlex.split(first.data_preparation)[1])]})
    checkpoints = {name: last_checkpoint(config) for name, config in configs.items()}
    run(
        {
            checkpoints[name]: [here('tools/train.py'), here(path), '--resume']
            for name, path in CONFIGS.items()
        },
        # their tensors are too small for two threads
        environment={'OMP_NUM_THREADS': '1'},
    )
    results = {}
    for name, path in CONFIGS.items():
        metrics = Path(configs[name].work_dir, 'metrics.json')
        test = [here('tools/test.py'), here(path), str(checkpoints[name])]
        run({metrics: [*test, '--out', str(metrics)]})
        results[name] = json.loads(metrics.read_text())
    draw(first, data)
    write_json({**results, 'seconds': round(time.perf_counter() - start, 1)}, SUMMARY_FILE)
    report(results)


def last_checkpoint(config: Config) -> Path:
    """Returns the file that a training writes at its end."""
    return Path(config.work_dir, f'epoch_{config.train_cfg.max_epochs}.pth')


def run(steps: dict[Path, list[str]], environment: dict[str, str] | None = None) -> None:
    """Runs at the same time the commands whose products are not there."""
    missing = []
    for product, arguments in steps.items():
        line = shlex.join(['python', *arguments])
        if product.exists():
            print(f'{product} is there, done before: {line}')
        else:
            print(f'\n{line}', flush=True)
            missing.append(arguments)
    run_tools(*missing, environment=environment)


def draw(config: Config, data: Path) -> None:
    """Draws held-out scenes with the captions that fit them best, out of all of them."""
    rows = json.loads((data / config.test_dataloader.dataset.ann_file).read_text())
    captions = sorted({row['caption'] for row in rows})
    classifier = ZeroShotClassifier(config, str(last_checkpoint(config)), captions)
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
