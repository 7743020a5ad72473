"""Writes the handwritten digits of scikit-learn as a classification and a detection data set.

`OUT/classification/{train,val}/<digit>/*.png` holds each of the 1,797 scans once, as an image
folder. `OUT/detection/{train,val}/*.png` with `OUT/detection/annotations/{train,val}.json` (COCO
format) holds scenes of 1 to 5 digits on cluttered ground. The split of the scans (1,400 to train,
397 to validate) is fixed; training scenes are written with training scans only, validation scenes
with validation scans only. The same arguments give the same files.
"""

import json
import os
from argparse import ArgumentParser, Namespace
from pathlib import Path

import numpy as np
from rich.progress import Progress

from mmdefocus.datasets import digits
from mmdefocus.engine.command import at_least, command, some_path
from mmdefocus.utils.errors import InputError
from mmdefocus.utils.files import folder_beside
from mmdefocus.utils.pictures import write_picture

SCAN_SIZE = 32  # pixels; the scans are 8x8
SPLITS = ('train', 'val')


def write_scans(folder: Path, scans: digits.Scans, progress: Progress, title: str) -> None:
    """Writes scans as an image folder, one sub-folder a class.

    Args:
        folder: Where the class folders go.
        scans: What to write.
        progress: Shows how far it is.
        title: Name of the bar.
    """
    for name in digits.CLASSES:
        (folder / name).mkdir(parents=True)
    samples = list(zip(*scans, strict=True))
    for image, label, index in progress.track(samples, description=title):
        large = digits.render(image, SCAN_SIZE, SCAN_SIZE)
        path = folder / digits.CLASSES[label] / f'{index:04d}.png'
        write_picture(path, np.round(large * 255).astype(np.uint8))


def write_scenes(
    folder: Path, annotation_file: Path, scans: digits.Scans, seeds: list, size: int, bar: tuple
) -> None:
    """Writes scenes and their COCO annotations.

    Args:
        folder: Where the images go.
        annotation_file: The JSON file to write.
        scans: The scans to write the digits with.
        seeds: One seed a scene, so that scene i is the same however many there are.
        size: Side of the scenes in pixels.
        bar: A `rich` progress display and the name of the bar in it.
    """
    progress, title = bar
    folder.mkdir(parents=True)
    annotation_file.parent.mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for image_id, seed in enumerate(progress.track(seeds, description=title), start=1):
        scene = digits.compose_scene(np.random.default_rng(seed), scans, size)
        name = f'{image_id:05d}.png'
        write_picture(folder / name, np.round(scene.image).astype(np.uint8))
        images.append(dict(id=image_id, file_name=name, width=size, height=size))
        for box, label, index in zip(scene.boxes, scene.labels, scene.indices, strict=True):
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=image_id,
                    category_id=int(label),
                    bbox=box.tolist(),
                    area=int(box[2] * box[3]),
                    iscrowd=0,
                    scan=int(index),
                )
            )
    categories = [dict(id=i, name=name) for i, name in enumerate(digits.CLASSES)]
    content = dict(images=images, annotations=annotations, categories=categories)
    annotation_file.write_text(json.dumps(content))


def convert(out: Path, num_train: int, num_val: int, image_size: int, seed: int) -> None:
    """Writes both data sets beside `out`, then puts them in its place as a whole."""
    num_scenes = dict(train=num_train, val=num_val)
    with folder_beside(out) as folder, Progress() as progress:
        new = folder / 'new'
        for number, (split, scans) in enumerate(zip(SPLITS, digits.load_scans(), strict=True)):
            write_scans(new / 'classification' / split, scans, progress, f'classification {split}')
            write_scenes(
                new / 'detection' / split,
                new / 'detection' / 'annotations' / f'{split}.json',
                scans,
                [(seed, number, scene) for scene in range(num_scenes[split])],
                image_size,
                (progress, f'detection {split}'),
            )
        exchange(new, out, folder / 'before')


def exchange(new: Path, out: Path, before: Path) -> None:
    """Puts a folder in the place of another, which comes back if that fails."""
    if out.exists():
        os.replace(out, before)
    try:
        os.replace(new, out)
    except OSError:
        if before.exists():
            os.replace(before, out)
        raise


def add_arguments(parser: ArgumentParser) -> None:
    """Adds what the command line may hold."""
    parser.add_argument(
        '--out', type=some_path, default=Path('data/digits'), help='folder to write'
    )
    parser.add_argument('--num-train', type=at_least(1), default=2000, help='training scenes')
    parser.add_argument('--num-val', type=at_least(1), default=200, help='validation scenes')
    parser.add_argument(
        '--image-size', type=at_least(64), default=96, help="scenes' side in pixels"
    )
    parser.add_argument('--seed', type=at_least(0), default=0, help='seed of the scenes')
    parser.add_argument('--overwrite', action='store_true', help='replace OUT where it exists')


@command(add_arguments)
def main(args: Namespace) -> None:
    """Writes the data sets, unless their folder exists."""
    if args.out.exists() and not args.overwrite:
        print(f'{args.out} exists, nothing done (--overwrite writes it anew)')
        return
    try:
        convert(args.out, args.num_train, args.num_val, args.image_size, args.seed)
    except (OSError, ImportError) as error:
        raise InputError(f'{type(error).__name__}: {error}') from error
    print(
        f'{args.out}: 1,400 + 397 scans, {args.num_train} + {args.num_val} scenes '
        f'of {args.image_size}x{args.image_size}'
    )


if __name__ == '__main__':
    main()
