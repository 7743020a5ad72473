"""Exports a classifier, or the backbone of a detector, to ONNX and checks it with onnxruntime.

The input `images` is what the data preprocessor of the config makes: normalised RGB, float32
`(B, 3, H, W)`. A classifier gives `logits` `(B, K)`, the backbone of a detector `features`
`(B, C, H', W')`; the rest of a DINO is not exported. The file takes any batch size B; the size of
the images is fixed in it: export once for each.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from rich.markup import escape
from torch import Tensor, nn

from mmdefocus.apis.inference import build_predictor
from mmdefocus.datasets.config_parts import type_name
from mmdefocus.engine.command import command, some_path, some_text
from mmdefocus.engine.config.command_line import add_config, config_of
from mmdefocus.ops import exportable
from mmdefocus.utils.console import make_console
from mmdefocus.utils.errors import InputError
from mmdefocus.utils.files import check_place, replacing

PACKAGES = ('onnx', 'onnxscript', 'onnxruntime')
TORCH = '2.11'  # the oldest that exports all families; 2.8 fails with some
FAMILIES = ('DefocusMamba', 'DefocusMamba2', 'DefocusRetNet', 'DefocusViT')
OUTPUTS = {'mmpretrain': 'logits', 'mmdet': 'features'}
TOLERANCE = 1e-3  # of the largest number in the output
EXAMPLE_BATCH = 2  # torch.export takes a batch of one for a constant
CHECKED_BATCHES = (1, 3)


class Exported(nn.Module):
    """The part of a model that is exported: images in, one tensor out."""

    def __init__(self, model: nn.Module, output: str) -> None:
        super().__init__()
        self.model = model if output == 'logits' else model.backbone
        self.output = output

    def forward(self, images: Tensor) -> Tensor:
        """Takes normalised images `(B, 3, H, W)`."""
        return self.model(images) if self.output == 'logits' else self.model(images)[0]


def add_arguments(parser: ArgumentParser) -> None:
    """Adds what the command line may hold."""
    add_config(parser)
    parser.add_argument('checkpoint', type=some_text, help='its weights, .pth or .safetensors')
    parser.add_argument('out', type=some_path, help='file to write, .onnx')
    parser.add_argument(
        '--shape', type=int, nargs=2, required=True, metavar=('H', 'W'), help='image size in pixels'
    )


def check_arguments(args: Namespace) -> None:
    """Finds out what is missing or wrong before the config is read.

    Raises:
        InputError: Names what is in the way.
    """
    if absent := [name for name in PACKAGES if find_spec(name) is None]:
        raise InputError(f'not installed: pip install {" ".join(absent)}')
    if args.out.suffix != '.onnx':
        raise InputError(f'OUT: expected a name that ends in .onnx, got {args.out}')
    if min(args.shape) < 1:
        raise InputError(f'--shape: expected 1 or more, got {args.shape}')


def check_config(cfg: Config) -> None:
    """Refuses models that cannot be exported.

    Raises:
        InputError: Names the part of the config.
    """
    if cfg.get('default_scope') not in OUTPUTS:
        raise InputError(f'{cfg.filename}: expected default_scope {" or ".join(OUTPUTS)}')
    backbone = type_name(cfg.model.get('backbone', {}).get('type'))
    if backbone not in FAMILIES:
        raise InputError(
            f'{cfg.filename}: only the backbones {", ".join(FAMILIES)} can be exported, got '
            f'{backbone}'
        )


def export(model: nn.Module, images: Tensor, output: str, path: Path) -> None:
    """Writes the ONNX file, weights included, for batches of any size."""
    with exportable(), torch.inference_mode():
        program = torch.onnx.export(
            model,
            (images,),
            dynamo=True,
            verbose=False,
            dynamic_shapes={'images': {0: torch.export.Dim('batch')}},
            input_names=['images'],
            output_names=[output],
        )
    with replacing(path) as unfinished:
        program.save(str(unfinished), external_data=False)


def difference(model: nn.Module, batches: Sequence[Tensor], path: Path) -> float:
    """Returns how far onnxruntime is from the model at most, relative to the largest number."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    errors = []
    for images in batches:
        (found,) = session.run(None, {'images': images.numpy()})
        with torch.inference_mode():
            expected = model(images).numpy()
        errors.append(float(np.abs(found - expected).max() / np.abs(expected).max()))
    return max(errors)


@command(add_arguments)
def main(args: Namespace) -> None:
    """Exports one model; refuses a file that computes something else."""
    check_arguments(args)
    with config_of(args, 'model', 'test_dataloader') as cfg:
        check_config(cfg)
        predictor = build_predictor(cfg, args.checkpoint, 'cpu')
    check_place(args.out)
    if torch.__version__ < TORCH:
        raise InputError(f'torch {TORCH} or newer is needed to export, this is {torch.__version__}')
    output = OUTPUTS[cfg.default_scope]
    model = Exported(predictor.model, output).eval()
    generator = torch.Generator().manual_seed(0)
    example, *batches = (
        torch.randn(size, 3, *args.shape, generator=generator)
        for size in (EXAMPLE_BATCH, *CHECKED_BATCHES)
    )
    height, width = args.shape
    with make_console().status(
        escape(f'exporting {output} for images of {height} x {width}: minutes')
    ):
        export(model, example, output, args.out)
    error = difference(model, batches, args.out)
    if error > TOLERANCE:
        raise InputError(
            f'{args.out}: onnxruntime differs from torch by {error:.1e} of the largest number, '
            f'expected at most {TOLERANCE:.0e}; do not use this file'
        )
    print(
        f'{args.out}: images (B, 3, {height}, {width}) to {output}, '
        f'{args.out.stat().st_size / 2**20:.1f} MiB, onnxruntime differs from torch by '
        f'{error:.1e} of the largest number'
    )


if __name__ == '__main__':
    main()
