"""Makes a training checkpoint ready to be published: weights for inference, named by their hash.

OUT.pth becomes OUT-<hash>.pth and OUT-<hash>.safetensors, where the hash is the beginning of the
SHA-256 of each file, as in all of OpenMMLab.
"""

import hashlib
from argparse import ArgumentParser, Namespace
from pathlib import Path

from rich.markup import escape

from mmdefocus.checkpoints.checks import inference_checkpoint
from mmdefocus.checkpoints.files import write_checkpoint
from mmdefocus.engine.command import command
from mmdefocus.utils.console import make_console
from mmdefocus.utils.errors import InputError
from mmdefocus.utils.files import folder_beside, put

HASH_LENGTH = 8


def add_arguments(parser: ArgumentParser) -> None:
    """Adds what the command line may hold."""
    parser.add_argument('checkpoint', help='checkpoint of a training, a file or an address')
    parser.add_argument('out', type=Path, help='file to write, without its hash, .pth')


def publish(checkpoint: dict, out: Path) -> list[Path]:
    """Writes a `.pth` and a `.safetensors` file.

    Returns:
        Their paths.
    """
    published = []
    with folder_beside(out) as folder:
        for suffix in ('.pth', '.safetensors'):
            unnamed = folder / (out.stem + suffix)
            write_checkpoint(checkpoint, unnamed)
            digest = hashlib.sha256(unnamed.read_bytes()).hexdigest()[:HASH_LENGTH]
            published.append(out.with_name(f'{out.stem}-{digest}{suffix}'))
            put(unnamed, published[-1])
    return published


@command(add_arguments)
def main(args: Namespace) -> None:
    """Publishes one checkpoint."""
    if args.out.suffix != '.pth':
        raise InputError(f'OUT: expected a name that ends in .pth, got {args.out}')
    with make_console().status(escape(f'publishing {args.checkpoint}')):
        checkpoint = inference_checkpoint(args.checkpoint)
        published = publish(checkpoint, args.out)
    for path in published:
        print(f'{path} ({path.stat().st_size / 2**20:.1f} MiB)')


if __name__ == '__main__':
    main()
