import json
import shutil
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmdefocus.models.build import build_model

RESNET = """
model['backbone'] = dict(type='ResNet', depth=18)
model['neck'] = dict(type='GlobalAveragePooling')
model['head'] = dict(type='LinearClsHead', num_classes=2, in_channels=512)
"""


@pytest.fixture
def images(workshop):
    folder = workshop.path / 'images'
    folder.mkdir()
    shutil.copy(workshop.data / 'dark' / '0.png', folder / 'dark <b>.png')
    shutil.copy(workshop.data / 'light' / '0.png', folder / 'light.png')
    return folder


def run(workshop, images, *arguments):
    workshop.run(
        'analysis/over_focus', *arguments, '--images', images, '--out', 'out', '--device', 'cpu'
    )
    return json.loads((workshop.path / 'out' / 'over_focus.json').read_text())


def test_models_stand_beside_each_other(workshop, trained, images):
    config = workshop.config()
    found = run(workshop, images, config, trained, config, trained, '--layers', 2)
    first, second = found['models']
    assert second['name'] == f'{first["name"]} (2)'
    assert [layer['layer'] for layer in first['layers']] == [2]
    numbers = first['layers'][0]['field_effective_tokens']
    assert len(numbers['values']) == 2
    assert 1 <= numbers['mean'] <= 4  # 2 x 2 patches
    assert numbers == second['layers'][0]['field_effective_tokens']
    (filters,) = first['filters']
    assert filters['layer'] == 2
    assert filters['before']['frequencies'] != filters['after']['frequencies']


def test_figures_are_pictures_and_documents(workshop, trained, images):
    config = workshop.config()
    run(workshop, images / 'light.png', config, trained, '--layers', 1)
    written = {path.name for path in (workshop.path / 'out' / 'figures').iterdir()}
    names = [f'1_light_{kind}' for kind in ('attention', 'field', 'gradient')]
    names += ['numbers', f'filters_1_{Path(config).stem}']
    assert written == {f'{name}.{suffix}' for name in names for suffix in ('png', 'pdf')}


def test_figures_of_a_long_name_are_written(workshop, trained, images):
    image = (images / 'light.png').rename(images / f'{"x" * 245}.png')
    run(workshop, image, workshop.config(), trained, '--layers', 1)
    written = {path.name for path in (workshop.path / 'out' / 'figures').iterdir()}
    assert sum(name.startswith('1_xxx') for name in written) == 6


def test_the_page_holds_everything_and_escapes_names(workshop, trained, images):
    run(workshop, images, workshop.config(), trained)
    page = (workshop.path / 'out' / 'index.html').read_text()
    assert 'http://' not in page.replace('http://www.w3.org/2000/svg', '')
    assert 'https://' not in page
    assert '<b>.png' not in page and '\\u003cb>.png' in page


@pytest.mark.parametrize(
    ('count', 'options', 'message'),
    [
        (2, ['--layers', '3'], '--layers: expected numbers from 1 to 2'),
        (3, [], 'CONFIG CKPT: expected pairs, got 3 names'),
    ],
)
def test_bad_arguments_are_one_line(workshop, trained, images, count, options, message):
    models = [workshop.config(), trained, workshop.config()][:count]
    found = workshop.error(
        *('analysis/over_focus', *models, *options, '--images', images, '--out', 'out')
    )
    assert message in found


def test_a_model_without_known_layers_is_one_line(workshop, images):
    config = workshop.config(RESNET)
    weights = workshop.path / 'resnet.pth'
    model = build_model(Config.fromfile(config))
    torch.save({'state_dict': model.state_dict()}, weights)
    found = workshop.error(
        *('analysis/over_focus', config, weights, '--images', images, '--out', 'out')
    )
    assert f'{config}: model: expected a backbone of mmdefocus or a VisionTransformer' in found
    assert found.endswith('got ResNet')


def test_a_checkpoint_without_the_parts_asked_for_is_one_line(workshop, trained, images):
    content = torch.load(trained, weights_only=False)
    weights = content['state_dict']
    content['state_dict'] = {name: x for name, x in weights.items() if 'blocks.1' not in name}
    torch.save(content, workshop.path / 'part.pth')
    found = workshop.error(
        *('analysis/over_focus', workshop.config(), workshop.path / 'part.pth'),
        *('--images', images, '--out', 'out'),
    )
    assert 'part.pth' in found and 'backbone.blocks.1' in found


def test_a_detector_has_maps_without_gradients(workshop, detector):
    image = detector.data / 'images' / '1.jpg'
    found = run(workshop, image, detector.config, detector.checkpoint, '--layers', 1)
    numbers = found['models'][0]['layers'][0]
    assert 'field_effective_tokens' in numbers and 'gradient_effective_tokens' not in numbers


def test_images_of_two_sizes_are_one_line(workshop, detector):
    found = workshop.error(
        *('analysis/over_focus', detector.config, detector.checkpoint, '--layers', 1),
        *('--images', detector.data / 'images', '--out', 'out', '--device', 'cpu'),
    )
    assert '--images: the model reads' in found and 'give images of one size' in found


def test_an_image_that_cannot_be_read_is_one_line(workshop, trained):
    broken = workshop.path / 'broken.png'
    broken.write_bytes(b'\x89PNG\r\n')
    found = workshop.error(
        *('analysis/over_focus', workshop.config(), trained, '--images', broken, '--out', 'out')
    )
    assert 'broken.png: not a whole image' in found


def test_images_among_the_figures_are_refused(workshop, trained, images):
    images.rename(workshop.path / 'figures')
    found = workshop.error(
        *('analysis/over_focus', workshop.config(), trained, '--images', 'figures', '--out', '.')
    )
    assert found.startswith('--out: figures/') and 'would be replaced' in found


def test_images_and_files_that_are_left_out_are_counted(workshop, trained, images, capfd):
    (images / 'notes.txt').touch()
    run(workshop, images, workshop.config(), trained, '--max-images', 1, '--layers', 1)
    lines = capfd.readouterr().out.splitlines()
    assert lines[-2] == 'the first 1 of 2 images; --max-images takes more'
    assert lines[-1] == f'left out of {images}: 1 file (.txt)'
