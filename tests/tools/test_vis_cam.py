import importlib.util
import shutil
import sys

import cv2
import pytest

NEEDS_GRAD_CAM = pytest.mark.skipif(
    importlib.util.find_spec('pytorch_grad_cam') is None, reason='grad-cam is not installed'
)


@NEEDS_GRAD_CAM
def test_each_image_has_a_picture_with_its_class(workshop, trained):
    workshop.run(
        *('analysis/vis_cam', workshop.data / 'dark', workshop.config(), trained),
        *('--out', 'out', '--target', 'light', '--layer', 1, '--device', 'cpu'),
    )
    written = sorted((workshop.path / 'out').iterdir())
    assert [path.name for path in written] == [f'{i}.png_light.png' for i in range(3)]
    assert cv2.imread(str(written[0])).shape == (224, 224, 3)


@NEEDS_GRAD_CAM
def test_a_long_name_is_shortened(workshop, trained):
    image = workshop.path / f'{"x" * 240}.png'
    shutil.copy(workshop.data / 'dark' / '0.png', image)
    workshop.run(
        *('analysis/vis_cam', image, workshop.config(), trained),
        *('--out', 'out', '--layer', 1, '--device', 'cpu'),
    )
    (written,) = (workshop.path / 'out').iterdir()
    assert written.name.startswith('x' * 180) and written.suffix == '.png'


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--target', 'grey'], "--target: expected a class out of dark, light, got 'grey'"),
        (['--target', '2'], "--target: expected a class out of dark, light, got '2'"),
        pytest.param(
            ['--layer', '3'], 'layer: expected a number from 1 to 2, got 3', marks=NEEDS_GRAD_CAM
        ),
    ],
)
def test_bad_arguments_are_one_line(workshop, trained, options, message):
    found = workshop.error(
        *('analysis/vis_cam', workshop.data / 'dark', workshop.config(), trained),
        *('--out', 'out', *options),
    )
    assert message in found


def test_without_grad_cam_a_line_says_how_to_get_it(workshop, trained, monkeypatch):
    monkeypatch.setitem(sys.modules, 'pytorch_grad_cam', None)
    found = workshop.error(
        *('analysis/vis_cam', workshop.data / 'dark', workshop.config(), trained, '--out', 'out')
    )
    assert found.endswith('need the package grad-cam: pip install "mmdefocus[cam]"')


def test_a_detector_is_refused(workshop, detector):
    found = workshop.error(
        *('analysis/vis_cam', detector.data / 'images', detector.config, detector.checkpoint),
        *('--out', 'out'),
    )
    assert 'expected a classifier of mmpretrain, got a detector' in found


@NEEDS_GRAD_CAM
def test_a_picture_in_the_place_of_an_image_is_refused(workshop, trained):
    (workshop.path / 'out').mkdir()
    for name in ('a.png', 'a.png_light.png'):
        shutil.copy(workshop.data / 'dark' / '0.png', workshop.path / 'out' / name)
    found = workshop.error(
        *('analysis/vis_cam', 'out', workshop.config(), trained),
        *('--out', 'out', '--target', 'light', '--device', 'cpu'),
    )
    assert found.startswith('--out: out/a.png_light.png is read, and would be replaced')
