"""Makes a training checkpoint ready to be published: weights for inference, named by their hash.

OUT.pth becomes OUT-<hash>.pth and OUT-<hash>.safetensors, where the hash is the beginning of the
SHA-256 of each file, as in all of OpenMMLab.

Beside the weights, a file has the names and colours of the classes, and where the weights come
from: epoch, seed, time, version of MMEngine. The config of the training, with its local paths, is
left out.

With --hub CONFIG, OUT is a new folder instead, in the layout of a repository on the Hugging Face
hub: README.md, the model card; config.py, whole, without work directory and weights to begin with;
and model.safetensors. Nothing is uploaded: `hf upload ORG/NAME OUT` does that. After it,
hf://ORG/NAME/model.safetensors is the checkpoint, wherever one is named.
"""

import hashlib
from argparse import ArgumentParser, Namespace
from pathlib import Path

from rich.markup import escape

from mmdefocus.checkpoints.checks import inference_checkpoint
from mmdefocus.checkpoints.files import write_checkpoint
from mmdefocus.engine.command import command
from mmdefocus.engine.config.command_line import read_config
from mmdefocus.engine.config.errors import config_errors
from mmdefocus.engine.hub_folder import local_paths, write_hub_folder
from mmdefocus.utils.console import make_console
from mmdefocus.utils.errors import InputError
from mmdefocus.utils.files import folder_beside, put

HASH_LENGTH = 8


def add_arguments(parser: ArgumentParser) -> None:
    """Adds what the command line may hold."""
    parser.add_argument('checkpoint', help='checkpoint of a training, a file or an address')
    parser.add_argument('out', type=Path, help='file to write, without its hash, .pth; or a folder')
    parser.add_argument(
        '--hub', metavar='CONFIG', help='prepare the folder OUT for a hub; the config of the model'
    )


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


def prepare_for_hub(checkpoint: dict, args: Namespace) -> list[Path]:
    """Writes the folder of a repository; returns the paths of its files."""
    if args.out.exists():
        raise InputError(f'OUT: expected a new folder, {args.out} exists')
    cfg = read_config(args.hub, {})
    with config_errors(cfg):
        return write_hub_folder(cfg, checkpoint, args.checkpoint, args.out)


@command(add_arguments)
def main(args: Namespace) -> None:
    """Publishes one checkpoint."""
    if not args.hub and args.out.suffix != '.pth':
        raise InputError(f'OUT: expected a name that ends in .pth, got {args.out}')
    with make_console().status(escape(f'publishing {args.checkpoint}')):
        checkpoint = inference_checkpoint(args.checkpoint)
        published = prepare_for_hub(checkpoint, args) if args.hub else publish(checkpoint, args.out)
    for path in published:
        print(f'{path} ({path.stat().st_size / 2**20:.1f} MiB)')
    if args.hub:
        if paths := local_paths(read_config(str(args.out / 'config.py'), {}).to_dict()):
            print(f'{args.out}/config.py names what is on this machine: {", ".join(paths)}')
        print(f'add license, data and results to {args.out}/README.md')
        print(f'then: hf upload ORG/NAME {args.out}')


if __name__ == '__main__':
    main()
