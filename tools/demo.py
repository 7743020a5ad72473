"""The paper's pipeline in miniature: pre-train a classifier, train and test a detector with it.

Runs the ordinary commands one after the other and shows each, so that any can be run alone. A
step that was finished before is not run again, and training that was stopped goes on;
`--restart` begins anew. Results: `work_dirs/demo/summary.json` and `work_dirs/demo/*.png`. All is
written into the current folder.
"""

import json
import shlex
import sys
from argparse import Namespace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from mmengine.config import Config

from mmdefocus.engine.command import command
from mmdefocus.engine.demo import add_restart, as_seen_here, begin, run_tools
from mmdefocus.utils.console import make_console, make_table
from mmdefocus.utils.files import write_json
from mmdefocus.utils.pictures import write_picture

here = partial(as_seen_here, Path(__file__).resolve().parents[1])
CLASSIFIER = 'configs/digits/defocus-mamba-digits_cls.py'
DETECTOR = 'configs/digits/dino_defocus-mamba-digits.py'
OUT = Path('work_dirs/demo')
STEPS_FILE = OUT / 'steps.json'
SUMMARY_FILE = OUT / 'summary.json'
SETUP_FILE = Path(sys.prefix, 'setup.tsv')  # written by make setup

NUM_PICTURES = 3
SCENES_PER_PICTURE = (3, 2)  # rows, columns
ZOOM = 3
SCORE_THRESHOLD = 0.4


class Step(NamedTuple):
    """One command of the demo, and the file by which it is known to be complete."""

    name: str
    arguments: list[str]
    product: Path
    environment: tuple[str, ...] = ()  # NAME=VALUE


@command(partial(add_restart, out=OUT))
def main(args: Namespace) -> None:
    """Runs the steps that are missing and shows what came of them."""
    begin(OUT, args.restart)
    console = make_console()
    classifier, detector = (Config.fromfile(here(path)) for path in (CLASSIFIER, DETECTOR))
    seconds = read_json(STEPS_FILE) if STEPS_FILE.exists() else {}
    for step in plan(classifier, detector):
        line = shlex.join([*step.environment, 'python', *step.arguments])
        if step.name in seconds and step.product.exists():
            console.print(f'{step.name}: {step.product} is there, done before', style='dim')
            continue
        console.print(f'\n{step.name}', style='bold', highlight=False)
        console.print(f'  {line}', highlight=False, soft_wrap=True)
        variables = dict(variable.split('=', 1) for variable in step.environment)
        seconds[step.name] = run_tools(step.arguments, environment=variables)
        write_json(seconds, STEPS_FILE)

    summary = dict(
        top1=read_json(metrics_file(classifier))['accuracy/top1'],
        mAP=read_json(metrics_file(detector))['coco/bbox_mAP'],
        setup=read_setup(),
        seconds=dict(seconds, total=round(sum(seconds.values()), 1)),
    )
    pictures = draw_detections(detector)
    write_json(summary, SUMMARY_FILE)
    report(summary, pictures)


def plan(classifier: Config, detector: Config) -> list[Step]:
    """Returns the steps in their order."""
    converter = shlex.split(detector.data_preparation)[1]
    steps = [Step('prepare data', [here(converter)], Path(detector.val_evaluator.ann_file))]
    for name, path, config, environment in (
        # its tensors are too small for two threads; a second core loads the images
        ('classifier', CLASSIFIER, classifier, ('OMP_NUM_THREADS=1',)),
        ('detector', DETECTOR, detector, ()),
    ):
        checkpoint = Path(config.work_dir, f'epoch_{config.train_cfg.max_epochs}.pth')
        metrics = metrics_file(config)
        steps += [
            Step(
                f'train {name}',
                [here('tools/train.py'), here(path), '--resume'],
                checkpoint,
                environment,
            ),
            Step(
                f'test {name}',
                [here('tools/test.py'), here(path), str(checkpoint), '--out', str(metrics)],
                metrics,
            ),
        ]
    return steps


def metrics_file(config: Config) -> Path:
    """Returns the file that the test of a config writes."""
    return Path(config.work_dir, 'metrics.json')


def draw_detections(detector: Config) -> list[Path]:
    """Draws the first validation scenes, ground truth beside detections.

    Returns:
        The pictures' paths.
    """
    ground_truth = read_json(Path(detector.test_evaluator.ann_file))
    predictions = read_json(Path(detector.test_evaluator.outfile_prefix + '.bbox.json'))
    predictions = [box for box in predictions if box['score'] >= SCORE_THRESHOLD]
    dataset = detector.test_dataloader.dataset
    folder = Path(dataset.data_root, dataset.data_prefix.img)
    rows, columns = SCENES_PER_PICTURE
    paths = []
    for number in range(NUM_PICTURES):
        first = number * rows * columns
        scenes = [
            draw_scene(folder, image, ground_truth['annotations'], predictions)
            for image in ground_truth['images'][first : first + rows * columns]
        ]
        lines = [
            np.hstack(scenes[i : i + columns]) for i in range(0, len(scenes) - columns + 1, columns)
        ]
        if lines:
            paths.append(OUT / f'detections_{number + 1}.png')
            write_picture(paths[-1], np.vstack(lines))
    return paths


def draw_scene(folder: Path, image: dict, truth: list[dict], predictions: list[dict]) -> np.ndarray:
    """Draws a scene twice, left with its ground truth and right with the detections.

    Args:
        folder: Where the images are.
        image: The COCO entry of the image.
        truth: COCO annotations.
        predictions: COCO results.

    Returns:
        BGR uint8.
    """
    scene = cv2.imread(str(folder / image['file_name']))
    scene = cv2.resize(scene, None, fx=ZOOM, fy=ZOOM, interpolation=cv2.INTER_CUBIC)
    halves = []
    for title, boxes in (('ground truth', truth), ('detections', predictions)):
        half = scene.copy()
        for box in boxes:
            if box['image_id'] == image['id']:
                draw_box(half, box)
        half = cv2.copyMakeBorder(half, 22, 4, 4, 4, cv2.BORDER_CONSTANT, value=(255, 255, 255))
        write_text(half, title, (6, 16), (0, 0, 0))
        halves.append(half)
    return np.hstack(halves)


def draw_box(image: np.ndarray, box: dict) -> None:
    """Draws a COCO box with its digit and, where it has one, its score."""
    x, y, width, height = (round(side * ZOOM) for side in box['bbox'])
    label = str(box['category_id'])
    if 'score' in box:
        label += f' {box["score"]:.2f}'
    cv2.rectangle(image, (x - 1, y - 1), (x + width, y + height), (0, 220, 0), 2)
    text_width = 9 * len(label) + 4
    top = max(y - 17, 0)
    cv2.rectangle(image, (x - 1, top), (x + text_width, top + 16), (0, 220, 0), -1)
    write_text(image, label, (x + 2, top + 12), (0, 0, 0))


def write_text(image: np.ndarray, text: str, place: tuple[int, int], colour: tuple) -> None:
    """Writes a short text into an image."""
    cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, 1, cv2.LINE_AA)


def report(summary: dict, pictures: list[Path]) -> None:
    """Shows a table of the results, and where they are."""
    title = 'De-focus attention in miniature, on handwritten digits'
    table = make_table('what', 'result', title=title)
    table.add_row('classifier, top-1', f'{summary["top1"]:.2f} %')
    table.add_row('detector, COCO mAP', f'{summary["mAP"]:.3f}')
    table.add_section()
    for name, (seconds, megabytes) in summary['setup'].items():
        table.add_row(name, f'{minutes(seconds)}, {megabytes} MB downloaded')
    table.add_section()
    for step, seconds in summary['seconds'].items():
        table.add_row(step, minutes(seconds))
    print()
    make_console().print(table)
    print(f'summary: {SUMMARY_FILE}', f'pictures: {", ".join(map(str, pictures))}', sep='\n')


def minutes(seconds: float) -> str:
    """Returns a duration such as `3:05 minutes`."""
    whole, rest = divmod(round(seconds), 60)
    return f'{whole}:{rest:02d} minutes'


def read_setup() -> dict[str, tuple[int, int]]:
    """Returns seconds and megabytes of each step of `make setup`, if that made the environment."""
    lines = SETUP_FILE.read_text().splitlines() if SETUP_FILE.exists() else []
    rows = (line.split('\t') for line in lines)
    return {f'setup {name}': (int(seconds), int(size)) for name, seconds, size in rows}


def read_json(path: Path) -> dict | list:
    """Returns the content of a file."""
    return json.loads(path.read_text())


if __name__ == '__main__':
    main()
