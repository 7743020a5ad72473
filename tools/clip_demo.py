"""CLIP in miniature: De-focus Mamba and a plain ViT learn pictures from their captions.

They learn scenes of handwritten digits, and emoji. Runs the ordinary commands and shows each, so
that any can be run alone; two models train at a time, with a core each. A step that was finished
before is not run again; `--restart` begins anew. All is written into the current folder.
Results: `work_dirs/clip/summary.json`, and the best captions in `work_dirs/clip/digits.png` and
`work_dirs/clip/emoji.png`.
"""

import json
import shlex
import time
from argparse import Namespace
from functools import partial
from pathlib import Path

import numpy as np
from mmengine.config import Config

from mmdefocus.apis.zero_shot import ZeroShotClassifier
from mmdefocus.engine.command import command
from mmdefocus.engine.demo import add_restart, as_seen_here, begin, run_tools
from mmdefocus.evaluation.captions import with_captions
from mmdefocus.utils.console import make_console, make_table
from mmdefocus.utils.files import write_json
from mmdefocus.utils.pictures import write_picture

here = partial(as_seen_here, Path(__file__).resolve().parents[1])
CONFIGS = {
    'digits': {
        'De-focus Mamba': 'configs/clip/defocus-mamba-digits.py',
        'ViT': 'configs/clip/vit-digits.py',
    },
    'emoji': {
        'De-focus Mamba': 'configs/clip/defocus-mamba-emoji.py',
        'ViT': 'configs/clip/vit-emoji.py',
    },
}
TITLES = {
    'digits': 'CLIP in miniature, on held-out scenes of handwritten digits, in percent',
    'emoji': 'CLIP in miniature, on emoji that training neither showed nor named, in percent',
}
OUT = Path('work_dirs/clip')
SUMMARY_FILE = OUT / 'summary.json'

ROWS, COLUMNS = 6, 2
BEST = 5


@command(partial(add_restart, out=OUT))
def main(args: Namespace) -> None:
    """Runs the steps that are missing and shows what came of them."""
    begin(OUT, args.restart)
    start = time.perf_counter()
    configs = {
        path: Config.fromfile(here(path)) for paths in CONFIGS.values() for path in paths.values()
    }
    run(dict(preparation(config) for config in configs.values()))
    run(dict(training(path, config) for path, config in configs.items()))
    run(dict(test(path, config) for path, config in configs.items()))
    summary: dict = {}
    for subject, paths in CONFIGS.items():
        summary[subject] = {
            name: json.loads(metrics_of(configs[path]).read_text()) for name, path in paths.items()
        }
        draw(configs[next(iter(paths.values()))], OUT / f'{subject}.png')
    minutes = (time.perf_counter() - start) / 60
    write_json({**summary, 'minutes': round(minutes, 2)}, SUMMARY_FILE)
    for subject, results in summary.items():
        report(TITLES[subject], results)
    print(f'summary: {SUMMARY_FILE}', f'pictures: {OUT}/*.png', f'{minutes:.1f} minutes', sep='\n')


def preparation(config: Config) -> tuple[Path, list[str]]:
    """Returns the data of a config, and the command that writes them."""
    return data_of(config), [here(shlex.split(config.data_preparation)[1])]


def training(path: str, config: Config) -> tuple[Path, list[str]]:
    """Returns the last checkpoint of a config, and the command that trains it."""
    return last_checkpoint(config), [here('tools/train.py'), here(path), '--resume']


def test(path: str, config: Config) -> tuple[Path, list[str]]:
    """Returns the metrics of a config, and the command that measures them."""
    tool, out = here('tools/test.py'), metrics_of(config)
    return out, [tool, here(path), str(last_checkpoint(config)), '--out', str(out)]


def metrics_of(config: Config) -> Path:
    """Returns the file of the metrics."""
    return Path(config.work_dir, 'metrics.json')


def data_of(config: Config) -> Path:
    """Returns the folder of the data."""
    return Path(config.test_dataloader.dataset.data_root)


def last_checkpoint(config: Config) -> Path:
    """Returns the file that a training writes at its end."""
    return Path(config.work_dir, f'epoch_{config.train_cfg.max_epochs}.pth')


def run(steps: dict[Path, list[str]]) -> None:
    """Runs the commands whose products are not there, two at a time.

    Each has a thread: their tensors are too small for two.
    """
    missing = []
    for product, arguments in steps.items():
        line = shlex.join(['python', *arguments])
        if product.exists():
            print(f'{product} is there, done before: {line}')
        else:
            print(f'\n{line}', flush=True)
            missing.append(arguments)
    run_tools(*missing, at_a_time=2, environment={'OMP_NUM_THREADS': '1'})


def draw(config: Config, out: Path) -> None:
    """Draws held-out pictures with the captions that fit them best, out of all of them."""
    data = data_of(config)
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
    write_picture(out, np.vstack(strips))


def report(title: str, results: dict[str, dict[str, float]]) -> None:
    """Shows a table of results."""
    table = make_table('metric', *results, title=title)
    for metric in next(iter(results.values())):
        table.add_row(metric, *(f'{metrics[metric]:.1f}' for metrics in results.values()))
    print()
    make_console().print(table)


if __name__ == '__main__':
    main()
