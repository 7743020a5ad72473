"""Reads one image strip by strip, and answers after each: for pictures too large for memory.

OUT/answers.json has the five best classes after each strip, and the strip at which the best one
settled; OUT/confidence.png draws their scores against the rows read; OUT/featmap.npy is the feature
map, (H', W', C) in float32, to be opened with numpy.load(..., mmap_mode='r').

TIFF is decoded in the memory of one row of tiles; PNG, JPEG and others are decoded whole, 3 bytes a
pixel. The picture is read at its own resolution, without the resizing of the test pipeline.
"""

import resource
from argparse import ArgumentParser, Namespace
from pathlib import Path

import numpy as np
from rich.progress import Progress
from torch import Tensor

from mmdefocus.apis.inference import build_predictor
from mmdefocus.apis.streaming import StreamReader, settled_at
from mmdefocus.datasets.strips import Strips, open_strips
from mmdefocus.engine.command import at_least, command, some_path
from mmdefocus.engine.config.command_line import add_model, add_out, config_of
from mmdefocus.utils.console import make_console
from mmdefocus.utils.files import check_not_read, replacing, write_json

PIXELS = 2**20  # of a strip, where nothing else is asked for


def add_arguments(parser: ArgumentParser) -> None:
    """Adds what the command line may hold."""
    parser.add_argument('image', type=some_path, help='an image file')
    add_model(parser)
    add_out(parser)
    parser.add_argument(
        '--rows',
        type=at_least(1),
        help='rows of a strip, rounded up to whole patches or sections; default: about a megapixel',
    )
    parser.add_argument('--level', type=at_least(0), default=0, help='level of a TIFF pyramid')


def read(
    reader: StreamReader, strips: Strips, rows: int, out: Path
) -> tuple[list[dict], list[Tensor]]:
    """Reads the image and writes the feature map.

    Returns:
        The five best classes after each strip, and the scores of all.
    """
    answers: list[dict] = []
    scores: list[Tensor] = []
    console = make_console(stderr=True)
    with replacing(out / 'featmap.npy') as path, Progress(console=console) as progress:
        shape = (*reader.map_shape, reader.channels)
        featmap = np.lib.format.open_memmap(path, 'w+', np.float32, shape)
        task, written = progress.add_task('rows', total=strips.height), 0
        for reading in reader.read(strips.of(rows)):
            featmap[written : written + len(reading.featmap)] = reading.featmap
            written += len(reading.featmap)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
            progress.update(task, completed=reading.rows, description=f'{peak:.2f} GiB at most')
            if reading.scores is None:
                continue
            best = reader.best(reading.scores)
            if not answers or best[0]['label'] != answers[-1]['classes'][0]['label']:
                score = best[0]['score']
                print(f'{reading.rows} rows: {best[0]["name"]} {score:.3f}', flush=True)
            answers.append({'rows': reading.rows, 'classes': best})
            scores.append(reading.scores)
        featmap.flush()
    return answers, scores


def draw(answers: list[dict], scores: list[Tensor], path: Path) -> None:
    """Draws the scores of the classes that were best at the end against the rows read."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout='constrained')
    axes = figure.subplots()
    rows = [answer['rows'] for answer in answers]
    for last in answers[-1]['classes']:
        axes.plot(rows, [one[last['label']] for one in scores], marker='.', label=last['name'])
    axes.set(xlabel='rows read', ylabel='score', ylim=(0, 1))
    axes.legend()
    with replacing(path) as unfinished:
        figure.savefig(unfinished, dpi=150)


@command(add_arguments)
def main(args: Namespace) -> None:
    """Reads the image and writes what was found."""
    check_not_read('--out', [args.out / 'confidence.png'], [args.image])
    with config_of(args, 'model', 'test_dataloader') as cfg:
        predictor = build_predictor(cfg, args.checkpoint, args.device)
    strips = open_strips(args.image, args.level)
    reader = StreamReader(predictor, strips.height, strips.width)
    unit = reader.stream.unit
    rows = -(-(args.rows or PIXELS // strips.width) // unit) * unit or unit
    answers, scores = read(reader, strips, rows, args.out)
    if answers:
        settled = settled_at([answer['classes'][0]['label'] for answer in answers])
        summary = {
            'image': str(args.image),
            'width': strips.width,
            'height': strips.height,
            'settled': {'strip': settled + 1, 'rows': answers[settled]['rows']},
            'answers': answers,
        }
        write_json(summary, args.out / 'answers.json')
        draw(answers, scores, args.out / 'confidence.png')
        best = answers[-1]['classes'][0]
        print(
            f'{best["name"]} {best["score"]:.3f}, settled at strip {settled + 1} of '
            f'{len(answers)}, row {answers[settled]["rows"]} of {strips.height}'
        )
    print(f'{args.out}/featmap.npy: {(*reader.map_shape, reader.channels)}')


if __name__ == '__main__':
    main()
