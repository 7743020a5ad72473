"""Shows at how many tokens models look, as the paper's Figures 1 and 3 to 6 do, and measures it.

For every image the attention map, the receptive field of CLS and, for classifiers, the gradient
map of some layers are drawn (Appendix B.1 of the paper; the loss is that of the predicted class).
OUT/over_focus.json has the numbers, OUT/figures the drawings as PNG and PDF, and OUT/index.html
all of it as one page that needs no network. No training, no random choice.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

import torch
from mmengine.registry import init_default_scope
from rich.markup import escape
from rich.progress import Progress

from mmdefocus.analysis.focus.layers import layers_of
from mmdefocus.analysis.focus.measure import LayerMaps, default_layers, measure_layer
from mmdefocus.analysis.focus.report import Subject, print_numbers, write_report
from mmdefocus.apis.inference import Classifier, Predictor, build_predictor
from mmdefocus.datasets.image_files import images_of
from mmdefocus.engine.command import at_least, command
from mmdefocus.engine.config.command_line import add_config_options, read_config
from mmdefocus.engine.config.errors import config_errors
from mmdefocus.utils.console import make_console
from mmdefocus.utils.errors import InputError
from mmdefocus.utils.files import check_place


def add_arguments(parser: ArgumentParser) -> None:
    """Adds what the command line may hold."""
    parser.add_argument(
        'models', nargs='+', metavar='CONFIG CKPT', help='configs with their checkpoints, in pairs'
    )
    parser.add_argument('--images', type=Path, required=True, help='an image, or a folder of them')
    parser.add_argument('--out', type=Path, required=True, metavar='DIR', help='write here')
    parser.add_argument(
        '--layers', nargs='+', type=at_least(1), metavar='L', help='from 1; default: 3 of them'
    )
    parser.add_argument(
        '--max-images', type=at_least(1), default=8, help='of a folder, by name; default: 8'
    )
    parser.add_argument('--device', help='such as cpu or cuda:1; default: a GPU if there is one')
    add_config_options(parser)


@command(add_arguments)
def main(args: Namespace) -> None:
    """Measures all models on all images and writes numbers, figures and page."""
    console = make_console()
    paths = images_of(args.images)[: args.max_images]
    predictors = build_predictors(args)
    check_place(args.out / 'index.html')
    subjects = []
    with Progress(console=console, transient=True) as progress:
        for (name, config, checkpoint), predictor in predictors.items():
            layers = measure(name, predictor, paths, args.layers, progress)
            subjects.append(Subject(name, config, checkpoint, layers))
    pictures = [predictor.load(path)[0][..., ::-1] for path in paths]
    write_report(args.out, paths, pictures, subjects)
    print_numbers(subjects, console)
    console.print(f'{args.out}/index.html', highlight=False, soft_wrap=True)


def build_predictors(args: Namespace) -> dict[tuple[str, str, str], Predictor]:
    """Builds the models, by their name, config and checkpoint.

    The name is that of the config; a number tells two models of one config apart.

    Raises:
        InputError: If configs and checkpoints are no pairs, or one cannot be used.
    """
    if len(args.models) % 2:
        raise InputError(
            f'CONFIG CKPT: expected pairs, got {len(args.models)} names: {" ".join(args.models)}'
        )
    found: dict[tuple[str, str, str], Predictor] = {}
    for config, checkpoint in zip(args.models[::2], args.models[1::2], strict=True):
        cfg = read_config(config, args.cfg_options)
        with config_errors(cfg):
            predictor = build_predictor(cfg, checkpoint, args.device)
        depth = len(layers_of(predictor.model).blocks)
        for layer in args.layers or ():
            if layer > depth:
                raise InputError(
                    f'--layers: expected numbers from 1 to {depth} of {config}, got {layer}'
                )
        stem = Path(config).stem
        same = sum(Path(other).stem == stem for _, other, _ in found)
        found[f'{stem} ({same + 1})' if same else stem, config, checkpoint] = predictor
    return found


def measure(
    name: str,
    predictor: Predictor,
    paths: Sequence[Path],
    layers: Sequence[int] | None,
    progress: Progress,
) -> list[LayerMaps]:
    """Measures the layers of a model, one image after the other.

    Raises:
        InputError: If an image cannot be read, or images differ in size for the model.
    """
    init_default_scope('mmpretrain' if isinstance(predictor, Classifier) else 'mmdet')
    layers = layers or default_layers(predictor.model)
    parts: dict[int, list[LayerMaps]] = {layer: [] for layer in layers}
    for path in paths:
        images, targets = read_image(predictor, path)
        for layer in layers:
            task = progress.add_task(escape(f'{name}: {path.name}, layer {layer}'), total=None)
            maps = measure_layer(
                predictor.model,
                images,
                targets,
                layer,
                lambda done, total, task=task: progress.update(task, completed=done, total=total),
            )
            progress.remove_task(task)
            parts[layer].append(maps)
    return [join(parts[layer], paths) for layer in layers]


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
