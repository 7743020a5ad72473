import json
import shutil

import pytest


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


def test_figures_are_pictures_and_documents(workshop, trained, images):
    run(workshop, images / 'light.png', workshop.config(), trained)
    written = {path.name for path in (workshop.path / 'out' / 'figures').iterdir()}
    names = [f'1_light_{kind}' for kind in ('attention', 'field', 'gradient')] + ['numbers']
    assert written == {f'{name}.{suffix}' for name in names for suffix in ('png', 'pdf')}


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


def test_an_image_that_cannot_be_read_is_one_line(workshop, trained):
    broken = workshop.path / 'broken.png'
    broken.write_bytes(b'\x89PNG\r\n')
    found = workshop.error(
        *('analysis/over_focus', workshop.config(), trained, '--images', broken, '--out', 'out')
    )
    assert 'broken.png: not a whole image' in found
