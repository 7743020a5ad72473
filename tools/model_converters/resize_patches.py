"""Makes a classifier one for patches of another size, to start a detector from.

Reads a checkpoint of this project and keeps its weights for inference, the averaged ones where
there are such. A new patch gets the token that it would get if it were first resized to the old
size. The model then expects images enlarged by the same factor: from patches of 4 to patches of 8,
`pretrain_img_size` grows from 32 to 64.
"""

from argparse import ArgumentParser, Namespace

from mmdefocus.checkpoints.checks import inference_checkpoint
from mmdefocus.checkpoints.files import write_checkpoint
from mmdefocus.checkpoints.patch_size import resize_patches
from mmdefocus.engine.command import at_least, command, some_path, some_text
from mmdefocus.utils.errors import InputError


def add_arguments(parser: ArgumentParser) -> None:
    """Adds what the command line may hold."""
    parser.add_argument('src', type=some_text, help='checkpoint, a file or an address')
    parser.add_argument('dst', type=some_path, help='file to write, .pth or .safetensors')
    parser.add_argument(
        '--patch-size', type=at_least(1), required=True, metavar='PIXELS', help='of the new patches'
    )


@command(add_arguments)
def main(args: Namespace) -> None:
    """Converts one checkpoint."""
    checkpoint = inference_checkpoint(args.src)
    try:
        checkpoint['state_dict'] = resize_patches(checkpoint['state_dict'], args.patch_size)
    except ValueError as error:
        raise InputError(f'{args.src}: {error}') from error
    write_checkpoint(checkpoint, args.dst)
    print(f'wrote {args.dst}: patches of {args.patch_size} pixels')


if __name__ == '__main__':
    main()
