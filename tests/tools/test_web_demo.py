"""The page of a model: what it shows, and the same through its server where gradio is installed."""

import re
import socket
import sys

import numpy as np
import pytest
from PIL import Image

from mmdefocus.apis import Inferencer
from mmdefocus.utils.errors import InputError


@pytest.fixture
def web_demo(load_tool):
    return load_tool('web_demo')


@pytest.fixture
def inferencer(workshop, trained):
    return Inferencer(workshop.config(), trained, 'cpu')


def test_a_picture_of_a_classifier_has_classes_and_maps(web_demo, inferencer, workshop):
    image = Image.open(workshop.data / 'dark' / '0.png')
    seen = web_demo.look(inferencer, image, 0.3, 1)
    assert {name for name, _, _ in seen.rows} == {'dark', 'light'}
    assert sum(float(score) for _, score, _ in seen.rows) == pytest.approx(1, abs=0.01)
    assert min(seen.picture.size) >= 224
    assert 'receptive field' in seen.field.get_suptitle()
    assert 'attention map' in seen.attention.get_suptitle()


def test_a_picture_of_a_detector_has_boxes(web_demo, detector):
    inferencer = Inferencer(detector.config, detector.checkpoint, 'cpu')
    seen = web_demo.look(inferencer, Image.open(detector.data / 'images' / '1.jpg'), 0.0, 1)
    assert seen.rows and all(len(box.split(', ')) == 4 for _, _, box in seen.rows)
    assert seen.picture.size == (80, 96)


def shown_below(figure):
    """Returns the pixels of the picture beside the maps."""
    (image,) = (part for part in figure.axes[0].get_images() if part.get_array().ndim == 3)
    return np.asarray(image.get_array())


def test_a_picture_of_16_bits_is_seen_as_its_8_bits(web_demo, inferencer, workshop):
    grey = Image.open(workshop.data / 'dark' / '0.png').convert('L')
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    expected, seen = (web_demo.look(inferencer, image, 0.3, 1) for image in (grey, deep))
    assert seen.rows == expected.rows
    assert (shown_below(seen.field) == shown_below(expected.field)).all()


def test_maps_are_turned_as_the_picture_says(web_demo, inferencer, workshop):
    path = workshop.path / 'turned.png'
    exif = Image.Exif()
    exif[0x112] = 6  # a quarter clockwise
    Image.new('RGB', (32, 16)).save(path, exif=exif)
    seen = web_demo.look(inferencer, Image.open(path), 0.3, 1)
    assert shown_below(seen.field).shape == (32, 16, 3)


def test_a_broken_picture_is_refused(web_demo, inferencer, workshop):
    path = workshop.path / 'broken.png'
    path.write_bytes((workshop.data / 'dark' / '0.png').read_bytes()[:-30])
    with pytest.raises(InputError, match='not a whole image'):
        web_demo.look(inferencer, Image.open(path), 0.3, 1)


def test_the_page_hands_over_all_bits_of_a_picture(web_demo, inferencer):
    pytest.importorskip('gradio')
    parts = web_demo.build_page(inferencer, 'tiny').blocks.values()
    (picture,) = (part for part in parts if getattr(part, 'label', None) == 'picture')
    assert picture.image_mode is None


def test_the_page_answers_through_its_server(web_demo, inferencer, workshop):
    pytest.importorskip('gradio')
    gradio_client = pytest.importorskip('gradio_client')
    page = web_demo.build_page(inferencer, 'tiny')
    _, address, _ = page.launch(server_name=web_demo.LOCAL, prevent_thread_lock=True, quiet=True)
    try:
        client = gradio_client.Client(address, verbose=False)
        image = gradio_client.handle_file(str(workshop.data / 'light' / '0.png'))
        _, table, field, attention = client.predict(image, 0.3, 1, api_name='/look')
    finally:
        page.close()
    assert {row[0] for row in table['data']} == {'dark', 'light'}
    assert field['plot'].startswith('data:image') and attention['plot'] != field['plot']


@pytest.mark.parametrize('boxes', [True, False])
def test_a_detector_alone_is_asked_for_a_score(boxes, web_demo, inferencer, detector):
    pytest.importorskip('gradio')
    model = Inferencer(detector.config, detector.checkpoint, 'cpu') if boxes else inferencer
    parts = web_demo.build_page(model, 'tiny').config['components']
    (slider,) = (x['props'] for x in parts if 'score' in (x['props'].get('label') or ''))
    assert slider['visible'] == boxes


def test_without_gradio_one_line_says_how_to_get_it(web_demo, workshop, trained, monkeypatch):
    monkeypatch.setitem(sys.modules, 'gradio', None)
    found = workshop.error('web_demo', workshop.config(), trained, '--device', 'cpu')
    assert found == "gradio is not installed; pip install 'mmdefocus[demo]'"


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--port', 99999], '--port: expected a number from 1 to 65535, got 99999'),
        (
            ['--host', 'no such host'],
            "--host: expected an address of this machine, .* got 'no such",
        ),
        (
            ['--host', '192.0.2.1'],
            "--host: expected an address of this machine, .* got '192.0.2.1'",
        ),
    ],
)
def test_an_address_that_cannot_be_served_is_refused(workshop, trained, options, message):
    found = workshop.error('web_demo', workshop.config(), trained, *options)
    assert re.match(message, found)


def test_a_port_in_use_is_refused(web_demo):
    with socket.create_server((web_demo.LOCAL, 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(InputError, match=f'--port: {port} cannot be had'):
            web_demo.check_address(web_demo.LOCAL, port)
