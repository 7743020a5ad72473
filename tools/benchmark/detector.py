"""Shows where the time of a detector goes, in a training step and in inference, on a CPU.

The detector of a config gets random weights, images of noise and boxes at random places. A step
is all of `train_step`: preprocessing, losses, backward and optimizer; or all of `test_step`. Its
time is measured first, `step_ms`; then it is profiled as often, and the rows tell of the step whose
duration is the median. Profiling takes time itself: trust the shares more than the milliseconds.
`ms` is forward and backward, `backward_ms` the latter alone; `share` is of the step, `part_share`
that of the whole part. What is neither an operator of ours nor any other that has a name is `other`
(norms, elementwise work, copies, Python). Writes OUT/detector.csv.
"""

import argparse
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.structures import InstanceData
from rich.progress import Progress
from torch import nn

from mmdefocus.engine.command import command
from mmdefocus.engine.config.check import dicts
from mmdefocus.engine.config.command_line import add_config, config_of
from mmdefocus.models.build import build_model
from mmdefocus.utils.console import make_console
from mmdefocus.utils.errors import InputError
from shared.arguments import Parser, positive
from shared.detector_profile import profile_step, ranges, to_rows
from shared.measure import interleave, timed
from shared.report import Row, environment, save_csv, show, spread
from shared.trial import added_peak_memory

BOXES = 10  # in an image


def add_arguments(parser: Parser) -> None:
    """Adds what the command line may hold."""
    parser.set_defaults(repeats=3)
    add_config(parser)
    parser.add_argument(
        '--size', nargs=2, type=positive, metavar=('H', 'W'), default=[800, 1333], help='in pixels'
    )
    parser.add_argument('--batch-size', type=positive, default=2, help='images in a step')
    parser.add_modes()


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps MMEngine from telling of every parameter."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel('WARNING')
    try:
        yield
    finally:
        logger.setLevel(level)


def build_detector(cfg: Config) -> nn.Module:
    """Builds the detector of a config with random weights; nothing is read or downloaded.

    Raises:
        InputError: If the config is not of a detector.
    """
    if cfg.get('default_scope') != 'mmdet':
        raise InputError(
            f'{cfg.filename}: expected a detector, default_scope mmdet, found '
            f'{cfg.get("default_scope")!r}'
        )
    for node in dicts(cfg.model):
        if (node.get('init_cfg') or {}).get('type') == 'Pretrained':
            node['init_cfg'] = None
    torch.manual_seed(0)
    model = build_model(cfg)
    model.init_weights()
    return model


def make_batch(size: Sequence[int], batch_size: int) -> dict[str, list]:
    """Returns images and boxes as a data loader does."""
    from mmdet.structures import DetDataSample

    generator = torch.Generator().manual_seed(0)
    height, width = size
    sides = torch.tensor([width, height])
    inputs, samples = [], []
    for index in range(batch_size):
        inputs.append(
            torch.randint(256, (3, height, width), dtype=torch.uint8, generator=generator)
        )
        corners = sides * torch.rand(BOXES, 2, generator=generator) * 0.7
        boxes = torch.cat((corners, corners + 0.2 * sides), dim=1)
        labels = torch.zeros(BOXES, dtype=torch.long)
        metainfo = dict(
            img_id=index, img_shape=(height, width), ori_shape=(height, width), scale_factor=(1, 1)
        )
        truth = InstanceData(bboxes=boxes, labels=labels)
        samples.append(DetDataSample(metainfo=metainfo, gt_instances=truth))
    return {'inputs': inputs, 'data_samples': samples}


def make_step(
    model: nn.Module, mode: str, optim_wrapper: OptimWrapper, args: argparse.Namespace
) -> Callable[[], None]:
    """Returns a function that trains or infers once, on the same batch whenever it is called."""
    batch = make_batch(args.size, args.batch_size)
    if mode == 'train':
        return lambda: model.train().train_step(batch, optim_wrapper)
    return torch.inference_mode()(lambda: model.eval().test_step(batch))


def measure(
    model: nn.Module,
    mode: str,
    optim_wrapper: OptimWrapper,
    args: argparse.Namespace,
    progress: Progress,
) -> list[Row]:
    """Returns a row for each kind of work in each part."""
    step = make_step(model, mode, optim_wrapper, args)
    step()  # warms up
    seconds = interleave({mode: partial(timed, step)}, args.repeats, args.budget, progress)
    step_ms = spread(seconds[mode]['step'])['median_ms']
    task = progress.add_task(f'profiling {mode}', total=args.repeats)
    profiles = []
    with ranges(model, optim_wrapper):
        for _ in range(args.repeats):
            profiles.append(profile_step(step))
            progress.advance(task)
    progress.remove_task(task)
    typical = statistics.median_low(profile.total() for profile in profiles)
    found = next(profile for profile in profiles if profile.total() == typical)
    return [{'mode': mode, **row, 'step_ms': step_ms} for row in to_rows(found)]


@command(add_arguments, Parser)
def main(args: argparse.Namespace) -> None:
    """Measures, profiles, shows and saves."""
    console = make_console()
    with config_of(args, 'model', 'optim_wrapper') as cfg, quiet():
        model = build_detector(cfg)
        optim_wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    size, config = f'{args.size[0]}x{args.size[1]}', Path(args.config).stem
    about = environment(args.threads, config=config, batch=args.batch_size, size=size)
    if args.peak_memory:
        if len(args.modes) != 1:
            raise InputError('--peak-memory: expected --train or --infer')
        print(added_peak_memory(make_step(model, args.modes[0], optim_wrapper, args)))
        return
    path, rows = args.out / 'detector.csv', []
    with Progress(console=console, transient=True) as progress:
        for mode in args.modes:
            rows += measure(model, mode, optim_wrapper, args, progress)
            save_csv(path, rows, about)
    show(path, rows, about, group='part', console=console)


if __name__ == '__main__':
    main()
