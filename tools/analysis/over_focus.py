"""Shows at how many tokens models look, as the paper's Figures 1 and 3 to 6 do, and measures it.

For every image the attention map, the receptive field of CLS and, for classifiers, the gradient
map of some layers are drawn (Appendix B.1 of the paper; the loss is that of the predicted class),
and their bandpass filters before and after training.
OUT/over_focus.json has the numbers, OUT/figures the drawings as PNG and PDF, and OUT/index.html
all of it as one page that needs no network. No training, no random choice.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import NamedTuple

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from rich.markup import escape
from rich.progress import Progress

from mmdefocus.analysis.focus.filters import LayerFilters, layer_filters
from mmdefocus.analysis.focus.layers import layers_of
from mmdefocus.analysis.focus.measure import LayerMaps, default_layers, measure_layer
from mmdefocus.analysis.focus.report import Subject, print_numbers, write_report
from mmdefocus.apis.inference import Classifier, Predictor, build_predictor
from mmdefocus.datasets.image_files import images_of, left_out
from mmdefocus.engine.command import at_least, command, some_path
from mmdefocus.engine.config.command_line import (
    add_config_options,
    add_device,
    add_out,
    read_config,
)
from mmdefocus.engine.config.errors import config_errors
from mmdefocus.models.build import build_model
from mmdefocus.utils.console import make_console
from mmdefocus.utils.errors import InputError
from mmdefocus.utils.files import check_not_read, check_place


def add_arguments(parser: ArgumentParser) -> None:
    """Adds what the command line may hold."""
    parser.add_argument(
        'models', nargs='+', metavar='CONFIG CKPT', help='configs with their checkpoints, in pairs'
    )
    parser.add_argument(
        '--images', type=some_path, required=True, help='an image, or a folder of them'
    )
    add_out(parser)
    parser.add_argument(
        '--layers', nargs='+', type=at_least(1), metavar='L', help='from 1; default: 3 of them'
    )
    parser.add_argument(
        '--max-images', type=at_least(1), default=8, help='of a folder, by name; default: 8'
    )
    add_device(parser)
    add_config_options(parser)


class Model(NamedTuple):
    """A model of the command line; its name is that of the config."""

    name: str
    config: str
    checkpoint: str
    cfg: Config
    predictor: Predictor


@command(add_arguments)
def main(args: Namespace) -> None:
    """Measures all models on all images and writes numbers, figures and page."""
    console = make_console()
    found = images_of(args.images)
    paths = found[: args.max_images]
    check_not_read('--out', [args.out / 'figures' / path.name for path in paths], paths)
    models = build_models(args)
    check_place(args.out / 'index.html')
    subjects = []
    with Progress(console=console, transient=True) as progress:
        for model in models:
            init_default_scope(model.cfg.default_scope)
            layers = args.layers or default_layers(model.predictor.model)
            maps = measure(model, paths, layers, progress)
            filters = compare_filters(model, paths, layers)
            subjects.append(Subject(*model[:3], maps, filters))
    pictures = [models[0].predictor.load(path)[0][..., ::-1] for path in paths]
    write_report(args.out, paths, pictures, subjects)
    print_numbers(subjects, console)
    console.print(f'{args.out}/index.html', highlight=False, soft_wrap=True)
    if len(found) > len(paths):
        console.print(f'the first {len(paths)} of {len(found)} images; --max-images takes more')
    if rest := left_out(args.images):
        console.print(f'left out of {args.images}: {rest}', highlight=False, soft_wrap=True)


def build_models(args: Namespace) -> list[Model]:
    """Builds the models; a number tells two models of one config apart.

    Raises:
        InputError: If configs and checkpoints are no pairs, or one cannot be used.
    """
    if len(args.models) % 2:
        raise InputError(
            f'CONFIG CKPT: expected pairs, got {len(args.models)} names: {" ".join(args.models)}'
        )
    found: list[Model] = []
    for config, checkpoint in zip(args.models[::2], args.models[1::2], strict=True):
        cfg = read_config(config, args.cfg_options)
        with config_errors(cfg):
            # MMDetection writes into the config that it builds
            predictor = build_predictor(deepcopy(cfg), checkpoint, args.device)
        depth = depth_of(predictor, config)
        for layer in args.layers or ():
            if layer > depth:
                raise InputError(
                    f'--layers: expected numbers from 1 to {depth} of {config}, got {layer}'
                )
        stem = Path(config).stem
        same = sum(Path(model.config).stem == stem for model in found)
        name = f'{stem} ({same + 1})' if same else stem
        found.append(Model(name, config, checkpoint, cfg, predictor))
    return found


def depth_of(predictor: Predictor, config: str) -> int:
    """Returns the number of layers of a model.

    Raises:
        InputError: If its backbone is none whose layers are known.
    """
    try:
        return len(layers_of(predictor.model).blocks)
    except ValueError as error:
        raise InputError(f'{config}: {error}') from error


def measure(
    model: Model, paths: Sequence[Path], layers: Sequence[int], progress: Progress
) -> list[LayerMaps]:
    """Measures the layers of a model, one image after the other.

    Raises:
        InputError: If an image cannot be read, or images differ in size for the model.
    """
    parts: dict[int, list[LayerMaps]] = {layer: [] for layer in layers}
    for path in paths:
        images, targets = read_image(model.predictor, path)
        for layer in parts:
            title = escape(f'{model.name}: {path.name}, layer {layer}')
            task = progress.add_task(title, total=None)
            maps = measure_layer(
                model.predictor.model,
                images,
                targets,
                layer,
                lambda done, total, task=task: progress.update(task, completed=done, total=total),
            )
            progress.remove_task(task)
            parts[layer].append(maps)
    return [join(found, paths) for found in parts.values()]


def compare_filters(
    model: Model, paths: Sequence[Path], layers: Sequence[int]
) -> list[LayerFilters]:
    """Reads the filters of the layers that have any, before and after training.

    Before training is a model of the same config with weights of its own, drawn with seed 0.
    """
    with torch.random.fork_rng():
        torch.manual_seed(0)
        untrained = build_model(model.cfg)
    trained = model.predictor.model
    untrained.to(next(trained.parameters()).device)
    images = [read_image(model.predictor, path)[0] for path in paths]
    found = []
    for layer in dict.fromkeys(layers):
        after = layer_filters(trained, images, layer)
        before = layer_filters(untrained, images, layer)
        if before is not None and after is not None:
            found.append(LayerFilters(layer, before, after))
    return found


def read_image(predictor: Predictor, path: Path) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Returns the image as the model reads it, `(1, 3, H, W)`, and the class that it predicts."""
    _, batch = predictor.load(path)
    data = predictor.model.data_preprocessor(batch, False)
    targets = None
    if isinstance(predictor, Classifier):
        with torch.no_grad():
            (sample,) = predictor.model(**data, mode='predict')
        targets = sample.pred_label.reshape(1)
    return data['inputs'], targets


def join(parts: Sequence[LayerMaps], paths: Sequence[Path]) -> LayerMaps:
    """Joins the maps of single images, which must be of one size."""
    for part, path in zip(parts, paths, strict=True):
        if part.field.shape != parts[0].field.shape:
            raise InputError(
                f'--images: the model reads {path} as {tuple(part.field.shape[1:])} patches, but '
                f'{paths[0]} as {tuple(parts[0].field.shape[1:])}; give images of one size'
            )
    gradients = [part.gradient for part in parts if part.gradient is not None]
    return LayerMaps(
        parts[0].layer,
        torch.cat([part.attention for part in parts]),
        torch.cat([part.field for part in parts]),
        torch.cat(gradients) if gradients else None,
        {name: torch.cat([part.numbers[name] for part in parts]) for name in parts[0].numbers},
    )


if __name__ == '__main__':
    main()
