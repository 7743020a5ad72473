"""Exports a classifier, or the backbone of a detector, to ONNX and checks it with onnxruntime.

The input `images` is what the data preprocessor of the config makes: normalised RGB, float32
`(B, 3, H, W)`. A classifier gives `logits` `(B, K)`, the backbone of a detector `features`
`(B, C, H', W')`; the rest of a DINO is not exported. All sizes are fixed in the file: export once
for each size of images and batches.
"""

import argparse
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from rich.console import Console
from torch import Tensor, nn

from mmdefocus.engine import cli
from mmdefocus.engine.config_check import check_keys
from mmdefocus.engine.config_errors import config_errors
from mmdefocus.engine.inference import build_predictor
from mmdefocus.errors import InputError, one_line_errors
from mmdefocus.files import replacing
from mmdefocus.ops.export import exportable

PACKAGES = ('onnx', 'onnxscript', 'onnxruntime')
FAMILIES = ('DefocusMamba', 'DefocusRetNet', 'DefocusViT')
OUTPUTS = {'mmpretrain': 'logits', 'mmdet': 'features'}
TOLERANCE = 1e-3  # of the largest number in the output


class Exported(nn.Module):
    """The part of a model that is exported: images in, one tensor out."""

    def __init__(self, model: nn.Module, output: str) -> None:
        super().__init__()
        self.model = model if output == 'logits' else model.backbone
        self.output = output

    def forward(self, images: Tensor) -> Tensor:
        """Takes normalised images `(B, 3, H, W)`."""
        return self.model(images) if self.output == 'logits' else self.model(images)[0]


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='config file, of mmpretrain or of mmdet')
    parser.add_argument('checkpoint', help='its weights, .pth or .safetensors')
    parser.add_argument('out', type=Path, help='file to write, .onnx')
    parser.add_argument(
        '--shape', type=int, nargs=2, required=True, metavar=('H', 'W'), help='image size in pixels'
    )
    parser.add_argument('--batch-size', type=int, default=1, help='images at once')
    cli.add_config_options(parser)
    return parser.parse_args(argv)


def check(args: argparse.Namespace, cfg: Config) -> None:
    """Finds out what would make the export fail, before any work.

    Raises:
        InputError: Names what is in the way.
    """
    if absent := [name for name in PACKAGES if find_spec(name) is None]:
        raise InputError(f'not installed: pip install {" ".join(absent)}')
    if args.out.suffix != '.onnx':
        raise InputError(f'OUT: expected a name that ends in .onnx, found {args.out}')
    if min(*args.shape, args.batch_size) < 1:
        raise InputError(
            f'--shape and --batch-size: expected 1 or more, found {args.shape} and '
            f'{args.batch_size}'
        )
    check_keys(cfg, ('model', 'test_dataloader'))
    if cfg.get('default_scope') not in OUTPUTS:
        raise InputError(f'{cfg.filename}: expected default_scope {" or ".join(OUTPUTS)}')
    backbone = cfg.model.get('backbone', {}).get('type')
    if backbone not in FAMILIES:
        raise InputError(
            f'{cfg.filename}: only the backbones {", ".join(FAMILIES)} can be exported, found '
            f'{backbone}'
        )


def export(model: nn.Module, images: Tensor, output: str, path: Path) -> None:
    """Writes the ONNX file, weights included."""
    with exportable(), torch.inference_mode():
        program = torch.onnx.export(
            model,
            (images,),
            dynamo=True,
            verbose=False,
            input_names=['images'],
            output_names=[output],
        )
    with replacing(path) as unfinished:
        program.save(str(unfinished), external_data=False)


def difference(model: nn.Module, images: Tensor, path: Path) -> float:
    """Returns how far onnxruntime is from the model, relative to the largest number."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    (found,) = session.run(None, {'images': images.numpy()})
    with torch.inference_mode():
        expected = model(images).numpy()
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; without `argv`, with the arguments of the process."""
    console = Console()
    with one_line_errors():
        args = parse_args(argv)
        cfg = cli.read_config(args.config, args.cfg_options)
        check(args, cfg)
        with config_errors(cfg):
            predictor = build_predictor(cfg, args.checkpoint, 'cpu')
        output = OUTPUTS[cfg.default_scope]
        model = Exported(predictor.model, output).eval()
        generator = torch.Generator().manual_seed(0)
        images = torch.randn(args.batch_size, 3, *args.shape, generator=generator)
        with console.status(f'exporting {output} for {tuple(images.shape)}: minutes'):
            export(model, images, output, args.out)
        error = difference(model, images, args.out)
        if error > TOLERANCE:
            raise InputError(
                f'{args.out}: onnxruntime differs from torch by {error:.1e} of the largest number, '
                f'expected at most {TOLERANCE:.0e}; do not use this file'
            )
    size = args.out.stat().st_size / 2**20
    console.print(
        f'{args.out}: images {tuple(images.shape)} to {output}, {size:.1f} MiB, onnxruntime '
        f'differs from torch by {error:.1e} of the largest number',
        highlight=False,
        soft_wrap=True,
    )


if __name__ == '__main__':
    main()
