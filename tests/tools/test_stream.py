import json

import numpy as np
import pytest
import torch
from PIL import Image

from mmdefocus.apis.streaming import settled_at
from mmdefocus.datasets.strips import open_strips

tifffile = pytest.importorskip('tifffile')


def make_picture(height=75, width=50):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def picture(tmp_path):
    """A tiled TIFF, and its pixels."""
    pixels = make_picture()
    tifffile.imwrite(tmp_path / 'picture.tif', pixels, tile=(16, 32), photometric='rgb')
    return tmp_path / 'picture.tif', pixels


def run(workshop, *arguments):
    workshop.run('stream', *arguments, '--out', 'out', '--device', 'cpu')
    found = workshop.path / 'out'
    return json.loads((found / 'answers.json').read_text()), np.load(found / 'featmap.npy')


def test_the_last_answer_and_the_map_are_those_of_the_whole_image(workshop, trained, picture):
    from mmengine.config import Config

    from mmdefocus.apis.inference import build_predictor

    path, pixels = picture
    config = workshop.config()
    written, featmap = run(workshop, path, config, trained, '--rows', 16)
    model = build_predictor(Config.fromfile(config), str(trained), 'cpu').model
    images = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    with torch.inference_mode():
        batch = model.data_preprocessor({'inputs': images.flip(1)})['inputs']  # BGR, as loaded
        expected = model.head(model.backbone(batch)).softmax(-1)[0]
        model.backbone.out_type = 'featmap'
        expected_map = model.backbone(batch)[0][0].permute(1, 2, 0).numpy()
    assert [answer['rows'] for answer in written['answers']] == [16, 32, 48, 64, 75]
    for found in written['answers'][-1]['classes']:
        assert found['score'] == pytest.approx(expected[found['label']].item(), abs=1e-5)
    np.testing.assert_allclose(featmap, expected_map, atol=1e-4)
    best = [answer['classes'][0]['label'] for answer in written['answers']]
    assert written['settled']['strip'] == settled_at(best) + 1
    assert (workshop.path / 'out' / 'confidence.png').stat().st_size > 1000


def test_a_picture_of_another_format_is_read_too(workshop, trained, tmp_path):
    Image.fromarray(make_picture()).save(tmp_path / 'picture.png')
    written, _ = run(workshop, tmp_path / 'picture.png', workshop.config(), trained)
    assert [answer['rows'] for answer in written['answers']] == [75]


def test_what_is_no_image_is_one_line(workshop, trained, tmp_path):
    (tmp_path / 'note.tif').write_text('no image')
    error = workshop.error(
        'stream', tmp_path / 'note.tif', workshop.config(), trained, '--out', 'o'
    )
    assert 'note.tif: no TIFF image' in error


def test_of_a_detector_there_is_the_map_of_its_backbone(workshop, detector):
    image = detector.data / 'images' / '2.jpg'
    workshop.run(
        'stream', image, detector.config, detector.checkpoint, '--out', 'out', '--device', 'cpu'
    )
    height, width = open_strips(image).height, open_strips(image).width
    featmap = np.load(workshop.path / 'out' / 'featmap.npy')
    assert featmap.shape[0] * featmap.shape[1] >= height * width / 32**2
    assert np.isfinite(featmap).all() and featmap.any()
    assert not (workshop.path / 'out' / 'answers.json').exists()


def test_an_image_in_the_place_of_the_drawing_is_refused(workshop, trained):
    image = workshop.path / 'confidence.png'
    (workshop.data / 'dark' / '0.png').rename(image)
    found = workshop.error('stream', image, workshop.config(), trained, '--out', workshop.path)
    assert found.startswith(f'--out: {image} is read, and would be replaced')
