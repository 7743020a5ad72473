"""A page on this machine: choose a picture, see classes or boxes and where the model looks.

The maps are those of Appendix B.1 of the paper, of a layer that you choose: the receptive field of
CLS beside the picture, and the attention map with a row for each query. Needs the extra `demo`.
"""

import errno
import socket
from argparse import ArgumentParser, Namespace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from matplotlib.figure import Figure
from mmengine.dataset import pseudo_collate
from PIL import Image

from mmdefocus.analysis.focus.figures import draw_maps
from mmdefocus.analysis.focus.layers import layers_of
from mmdefocus.analysis.focus.measure import default_layers, measure_layer
from mmdefocus.apis import Detector, Inferencer
from mmdefocus.apis.images import read_images
from mmdefocus.engine.command import at_least, command
from mmdefocus.engine.config.command_line import add_model, config_of
from mmdefocus.utils.errors import InputError

if TYPE_CHECKING:
    from gradio import Blocks

LOCAL = '127.0.0.1'
LAST_PORT = 65535


class Seen(NamedTuple):
    """What the page shows of a picture."""

    picture: Image.Image
    rows: list[list[str]]
    field: Figure
    attention: Figure


def add_arguments(parser: ArgumentParser) -> None:
    """Adds what the command line may hold."""
    add_model(parser)
    parser.add_argument('--labels', nargs='+', metavar='LABEL', help='of CLIP: at least two texts')
    parser.add_argument(
        '--host', default=LOCAL, help='0.0.0.0 lets other machines in; default: %(default)s'
    )
    parser.add_argument('--port', type=at_least(1), default=7860, help='default: %(default)s')


@command(add_arguments)
def main(args: Namespace) -> None:
    """Serves the page until it is interrupted."""
    check_address(args.host, args.port)
    with config_of(args, 'model', 'test_dataloader') as cfg:
        inferencer = Inferencer(cfg, args.checkpoint, args.device, labels=args.labels)
    page = build_page(inferencer, Path(args.config).stem)
    # Gradio opens a picture before it calls us, and keeps to itself why it cannot unless told.
    page.launch(server_name=args.host, server_port=args.port, share=False, show_error=True)


def check_address(host: str, port: int) -> None:
    """Finds out whether the page can be served there.

    Raises:
        InputError: Names the argument that is in the way.
    """
    if port > LAST_PORT:
        raise InputError(f'--port: expected a number from 1 to {LAST_PORT}, got {port}')
    try:
        family, kind, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            # As servers do: a port that was closed a moment ago is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except (OSError, UnicodeError) as error:
        if getattr(error, 'errno', None) in (errno.EADDRINUSE, errno.EACCES):
            raise InputError(f'--port: {port} cannot be had: {error}; give another one') from error
        raise InputError(
            f'--host: expected an address of this machine, such as {LOCAL}, got {host!r}: {error}'
        ) from error


def build_page(inferencer: Inferencer, title: str) -> 'Blocks':
    """Returns the page of a model.

    Raises:
        InputError: If gradio is not installed, or the model has no layers to look into.
    """
    try:
        import gradio
    except ImportError as error:
        raise InputError("gradio is not installed; pip install 'mmdefocus[demo]'") from error
    vision = vision_of(inferencer)
    depth = len(layers_of(vision).blocks)
    boxes = isinstance(inferencer.predictor, Detector)

    def show(image: Image.Image | None, threshold: float, layer: int) -> Seen:
        if image is None:
            raise gradio.Error('choose a picture first')
        try:
            return look(inferencer, image, threshold, int(layer))
        except InputError as error:
            raise gradio.Error(str(error)) from error

    with gradio.Blocks(title=title, analytics_enabled=False) as page:
        gradio.Markdown(f'# {title}')
        with gradio.Row():
            with gradio.Column():
                # The default mode, RGB, would clip 16 bits to white.
                image = gradio.Image(
                    type='pil', image_mode=None, label='picture', sources=['upload', 'clipboard']
                )
                threshold = gradio.Slider(
                    0, 1, 0.3, label='boxes of at least this score', visible=boxes
                )
                layer = gradio.Slider(1, depth, default_layers(vision)[-1], step=1, label='layer')
                button = gradio.Button('look', variant='primary')
            with gradio.Column():
                picture = gradio.Image(label='what was found', interactive=False)
                rows = gradio.Dataframe(headers=['name', 'score', 'box'], label='predictions')
        with gradio.Row():
            maps = [gradio.Plot(show_label=False) for _ in range(2)]  # they have titles
        button.click(show, [image, threshold, layer], [picture, rows, *maps], api_name='look')
    return page


def look(inferencer: Inferencer, image: Image.Image, threshold: float, layer: int) -> Seen:
    """Predicts a picture and draws the maps of a layer, counted from 1.

    Raises:
        InputError: If it is no whole image.
    """
    predictor = inferencer.predictor
    ((_, pixels),) = read_images([image], predictor.loader)
    with TemporaryDirectory() as folder:
        (found,) = inferencer([pixels], out_dir=folder, pred_score_thr=threshold)
        (path,) = Path(folder).iterdir()
        picture = Image.open(path).convert('RGB')
    batch = pseudo_collate([predictor.prepare(pixels, 'picture')])
    inputs = predictor.model.data_preprocessor(batch, False)['inputs']
    maps = {'model': [measure_layer(vision_of(inferencer), inputs, None, layer)]}
    field, attention = (
        draw_maps(kind, maps, 0, pixels[..., ::-1]) for kind in ('field', 'attention')
    )
    return Seen(picture, rows_of(found), field, attention)


def vision_of(inferencer: Inferencer) -> object:
    """Returns what reads the pictures: the image tower of CLIP, any other model as a whole."""
    model = inferencer.predictor.model
    return getattr(model, 'vision_backbone', model)


def rows_of(found: dict) -> list[list[str]]:
    """Returns name, score and box of each prediction, the best first."""
    entries = next(found[key] for key in ('classes', 'boxes', 'labels') if key in found)
    return [
        [
            str(entry.get('name', entry['label'])),
            f'{entry["score"]:.3f}',
            ', '.join(f'{side:.0f}' for side in entry.get('bbox', ())),
        ]
        for entry in entries
    ]


if __name__ == '__main__':
    main()
