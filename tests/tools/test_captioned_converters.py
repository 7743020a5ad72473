"""The converters that write the data of CLIP's miniatures."""

import json
import tarfile
from pathlib import Path

import pytest

from mmdefocus.datasets.captioned_emoji import TEMPLATES

pytestmark = pytest.mark.usefixtures('openmoji')

TOOLS = {
    'captioned_digits': ('--num-train', '6', '--num-val', '4'),
    'captioned_emoji': ('--num-train', '1', '--num-val', '2', '--held-out', '5'),
}


def captions_of(shards):
    """Returns the captions in the shards of a folder."""
    captions = []
    for shard in sorted(shards.glob('train-*.tar')):
        with tarfile.open(shard) as tar:
            texts = [name for name in tar.getnames() if name.endswith('.txt')]
            captions += [tar.extractfile(name).read().decode() for name in texts]
    return captions


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.rglob('*') if path.is_file()}


@pytest.fixture(scope='module')
def written(tmp_path_factory, load_tool):
    """The folder that each converter has written, by its name."""
    folder = tmp_path_factory.mktemp('captioned')
    for tool, options in TOOLS.items():
        load_tool(f'dataset_converters/{tool}').main(['--out', str(folder / tool), *options])
    return folder


def test_scenes_of_digits_are_shards_and_a_list(written):
    assert len(captions_of(written / 'captioned_digits')) == 6
    rows = json.loads((written / 'captioned_digits' / 'val.json').read_text())
    assert ['label' in row for row in rows] == [True, False, True, False]  # one digit, two


def test_names_of_emoji_held_out_are_in_no_caption_of_training(written):
    names = (written / 'captioned_emoji' / 'classes.txt').read_text().splitlines()
    captions = captions_of(written / 'captioned_emoji')
    assert len(names) == 5
    assert len(captions) > 1000
    # the whole name: a butterfly is no fly
    forbidden = {template.format(name) for template in TEMPLATES for name in names}
    assert forbidden.isdisjoint(captions)


def test_label_of_an_emoji_is_the_line_of_its_name(written):
    folder = written / 'captioned_emoji'
    names = (folder / 'classes.txt').read_text().splitlines()
    rows = json.loads((folder / 'val.json').read_text())
    assert [row['label'] for row in rows] == [0, 1, 2, 3, 4] * 2
    assert all(row['caption'].endswith(names[row['label']]) for row in rows)


def test_drawings_come_with_their_license(written):
    license_text = (written / 'captioned_emoji' / 'LICENSE.txt').read_text()
    assert 'OpenMoji' in license_text
    assert 'CC BY-SA 4.0' in license_text


@pytest.mark.parametrize('tool', TOOLS)
def test_same_arguments_give_the_same_files(written, tool, load_tool, tmp_path):
    load_tool(f'dataset_converters/{tool}').main(['--out', str(tmp_path / 'out'), *TOOLS[tool]])
    assert files_of(tmp_path / 'out') == files_of(written / tool)


@pytest.mark.parametrize('tool', TOOLS)
def test_existing_folder_is_left_alone(workshop, tool):
    Path('there').mkdir()
    error = workshop.error(f'dataset_converters/{tool}', '--out', 'there', *TOOLS[tool])
    assert error == 'there: exists; remove it first'


def test_more_emoji_held_out_than_there_are_is_refused(workshop):
    error = workshop.error('dataset_converters/captioned_emoji', '--held-out', '5000')
    assert error.startswith('held-out emoji: expected 1 to ')
