"""Trains a detector for thousands of steps and watches memory and open files.

    python tests/reliability/soak.py --steps 3000

The detector is De-focus DINO at its smallest, trained by `tools/train.py` with two data workers, a
checkpoint and an evaluation every tenth of the way. After each twentieth it notes the memory of the
process without its files (`RssAnon` of Linux) and the number of its open files. It prints them as a
table in Markdown. The status is 1 if the last half has more open files than the first, or if its
memory grows by more than `GROWTH`.
"""

import argparse
import json
import os
import runpy
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from mmengine.hooks import Hook

from mmdefocus.registry import HOOKS

HERE = Path(__file__).parent
TRAIN = HERE.parents[1] / 'tools' / 'train.py'
GROWTH = 10_000  # bytes a step, of which logs in memory take a few hundred
CONFIG = """
_base_ = '{base}'
data_root = '{folder}/'
dataset = dict(data_root=data_root, ann_file='truth.json', data_prefix=dict(img='images/'))
train_dataloader = dict(num_workers=2, batch_size=2, dataset=dict(dataset, test_mode=False))
val_dataloader = dict(dataset=dict(dataset, test_mode=True), batch_size=1, num_workers=1)
val_evaluator = dict(ann_file=data_root + 'truth.json')
train_cfg = dict(_delete_=True, type='IterBasedTrainLoop', max_iters={steps}, val_interval={tenth})
param_scheduler = dict(_delete_=True, type='LinearLR', by_epoch=False)
default_hooks = dict(
    checkpoint=dict(interval={tenth}, by_epoch=False, max_keep_ckpts=2), logger=dict(interval=100)
)
custom_hooks = [dict(type='NonFiniteLossHook'), dict(type='Watch', every={twentieth})]
"""


@HOOKS.register_module()
class Watch(Hook):
    """Notes iteration, memory in bytes and open files.

    Args:
        every: How many iterations are between two notes.
    """

    priority = 'LOWEST'

    def __init__(self, every: int) -> None:
        self.every = every
        self.notes: list[tuple[int, int, int]] = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        """Notes them, if it is time to."""
        if (runner.iter + 1) % self.every == 0:
            status = Path('/proc/self/status').read_text()
            memory = int(status.partition('RssAnon:')[2].split()[0]) * 1024
            self.notes.append((runner.iter + 1, memory, len(os.listdir('/proc/self/fd'))))

    def after_train(self, runner) -> None:
        """Writes the notes into the work directory."""
        Path(runner.work_dir, 'notes.json').write_text(json.dumps(self.notes))


def make_scenes(folder: Path) -> None:
    """Writes five scenes with a box each."""
    (folder / 'images').mkdir(parents=True)
    rng = np.random.default_rng(0)
    images, boxes = [], []
    for number in range(1, 6):
        scene = rng.integers(0, 256, (96, 96, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / 'images' / f'{number}.jpg'), scene)
        images.append(dict(id=number, file_name=f'{number}.jpg', height=96, width=96))
        box = dict(id=number, image_id=number, category_id=number, bbox=[8, 8, 40, 40])
        boxes.append(dict(box, area=1600, iscrowd=0))
    names = [dict(id=number, name=str(number)) for number in range(10)]
    truth = dict(images=images, annotations=boxes, categories=names)
    (folder / 'truth.json').write_text(json.dumps(truth))


def soak(steps: int, folder: Path) -> list[tuple[int, int, int]]:
    """Trains; returns what `Watch` has noted."""
    make_scenes(folder)
    config = folder / 'soak.py'
    config.write_text(
        CONFIG.format(
            base=HERE.parent / 'data' / 'tiny_dino.py',
            folder=folder,
            steps=steps,
            tenth=steps // 10,
            twentieth=steps // 20,
        )
    )
    runpy.run_path(str(TRAIN))['main']([str(config), '--work-dir', str(folder / 'run')])
    return json.loads((folder / 'run' / 'notes.json').read_text())


def main() -> None:
    """Trains and judges."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--steps', type=int, default=3000, help='a multiple of 20')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        notes = soak(args.steps, Path(name))
    print('| step | memory, MiB | open files |\n|---|---|---|')
    for step, memory, files in notes:
        print(f'| {step} | {memory / 2**20:.1f} | {files} |')
    half = len(notes) // 2
    steps, memory, files = zip(*notes, strict=True)
    growth = np.polyfit(steps[half:], memory[half:], 1)[0]
    print(f'memory grows by {growth:.0f} bytes a step in the second half')
    sys.exit(bool(growth > GROWTH or max(files[half:]) > max(files[:half])))


if __name__ == '__main__':
    main()
