"""Makes a training checkpoint ready to be published: weights for inference, named by their hash.

OUT.pth becomes OUT-<hash>.pth and OUT-<hash>.safetensors, where the hash is the beginning of the
SHA-256 of each file, as in all of OpenMMLab.
"""

import argparse
import hashlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from mmdefocus.checkpoints.checks import inference_checkpoint
from mmdefocus.checkpoints.files import write_checkpoint
from mmdefocus.utils.errors import InputError, one_line_errors

HASH_LENGTH = 8


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('checkpoint', type=Path, help='checkpoint of a training')
    parser.add_argument('out', type=Path, help='file to write, without its hash, .pth')
    return parser.parse_args(argv)


def publish(checkpoint: dict, out: Path) -> list[Path]:
    """Writes a `.pth` and a `.safetensors` file.

    Returns:
        Their paths.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    published = []
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        for suffix in ('.pth', '.safetensors'):
            unnamed = Path(folder, out.stem + suffix)
            write_checkpoint(checkpoint, unnamed)
            digest = hashlib.sha256(unnamed.read_bytes()).hexdigest()[:HASH_LENGTH]
            published.append(out.with_name(f'{out.stem}-{digest}{suffix}'))
            os.replace(unnamed, published[-1])
    return published


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; without `argv`, with the arguments of the process."""
    args = parse_args(argv)
    console = Console()
    with one_line_errors():
        if args.out.suffix != '.pth':
            raise InputError(f'OUT: expected a name that ends in .pth, found {args.out}')
        with console.status(f'publishing {args.checkpoint}'):
            checkpoint = inference_checkpoint(args.checkpoint)
            published = publish(checkpoint, args.out)
    for path in published:
        size = path.stat().st_size / 2**20
        console.print(f'{path} ({size:.1f} MiB)', highlight=False, soft_wrap=True)


if __name__ == '__main__':
    main()
