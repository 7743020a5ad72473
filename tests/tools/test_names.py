"""Names that rich would read as markup or as emoji are printed as they are."""

import shutil

import pytest

NAME = '[red]x[blue]:smile:'  # of a file; `[/]` is none, since it has a slash


@pytest.fixture
def odd(workshop):
    """A config, a class and an image of such a name: `config`, `data`, `image`."""
    (workshop.data / 'dark').rename(workshop.data / NAME)
    image = workshop.data / NAME / '0.png'
    workshop.config_path = workshop.path / f'{NAME}.py'
    shutil.move(workshop.config(), workshop.config_path)
    workshop.image = image.rename(image.with_name(f'{NAME}.png'))
    return workshop


def printed(capfd):
    output = capfd.readouterr()
    return (output.out + output.err).replace('\n', '')


def test_classes_that_are_not_read_as_markup(odd, capfd):
    odd.run('check_data', odd.config_path, '--images')
    assert '[red]x[blue]' in printed(capfd)


def test_a_training_on_such_classes_and_its_checkpoints(odd, capfd):
    odd.run(
        *('train', odd.config_path, '--work-dir', f'run{NAME}'),
        *('--cfg-options', 'train_cfg.max_epochs=1'),
    )
    checkpoint = odd.path / f'run{NAME}' / 'epoch_1.pth'
    odd.run('publish_model', checkpoint, f'out/{NAME}.pth')
    assert f'out/{NAME}-' in printed(capfd)
    options = ('--kind', 'classifier', '--reverse')
    odd.run('model_converters/from_official', checkpoint, f'{NAME}.pth', *options)
    assert f'wrote {NAME}.pth' in printed(capfd)
    odd.run('test', odd.config_path, checkpoint, '--work-dir', f'test{NAME}')


def test_an_image_that_cannot_be_read(odd, trained, capfd):
    odd.image.write_bytes(b'no image')
    with pytest.raises(SystemExit):
        odd.run('infer', odd.image, odd.config_path, trained, '--out', f'out{NAME}')
    assert f'{NAME}.png' in printed(capfd)


def test_a_config_that_is_summarized(odd, capfd):
    odd.run('analysis/model_summary', odd.config_path)
    assert f'{NAME}.py, one image of' in printed(capfd)


def test_a_model_and_an_image_that_are_looked_into(odd, trained, capfd):
    options = ('--out', f'out{NAME}', '--device', 'cpu', '--layers', '1')
    odd.run('analysis/over_focus', odd.config_path, trained, '--images', odd.image, *options)
    text = printed(capfd)
    assert f'out{NAME}/index.html' in text
    assert '[red]x[blue]:smile:' in text.replace(' ', '')


@pytest.mark.parametrize('tool', ['train', 'test', 'infer', 'publish_model'])
def test_a_file_that_is_not_there_is_named_in_the_error(odd, tool):
    arguments = {
        'train': (odd.config_path, '--cfg-options', f'load_from={NAME}.pth'),
        'test': (odd.config_path, f'{NAME}.pth'),
        'infer': (odd.image, odd.config_path, f'{NAME}.pth', '--out', 'out'),
        'publish_model': (f'{NAME}.pth', 'a.pth'),
    }
    assert odd.error(tool, *arguments[tool]) == f'checkpoint {NAME}.pth: no such file'
