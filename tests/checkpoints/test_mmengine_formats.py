"""What MMEngine, mmdet and mmpretrain load beside checkpoints is data, under any name."""

import pickle

import mmengine
import pytest
from mmengine.dataset import BaseDataset

import mmdefocus.engine  # noqa: F401  (makes the handlers MMEngine's)
from mmdefocus.utils.errors import InputError


class _Program:
    """Is pickled as a call that writes a file."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return exec, (f'open({str(self.marker)!r}, "w").close()',)


@pytest.fixture
def programs(tmp_path):
    """A pickle and a YAML file that write `marker` when MMEngine reads them."""
    marker = tmp_path / 'marker'
    content = pickle.dumps(_Program(marker))
    text = f"!!python/object/apply:os.system ['touch {marker}']"
    yield dict(pickle=content, yaml=text.encode())
    assert not marker.exists()


NAMES = {
    'a.pkl': ('pickle', 'convert it to JSON'),
    'a.pickle': ('pickle', 'convert it to JSON'),
    'a.yaml': ('yaml', 'expected YAML of plain data'),
    'a.yml': ('yaml', 'expected YAML of plain data'),
    'a.json': ('pickle', r'a\.json: expected a text file'),
    'b.json': ('yaml', 'expected JSON'),
}
READERS = (
    lambda path: mmengine.load(path),
    lambda path: BaseDataset(ann_file=path),
)


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('read', READERS, ids=['load', 'dataset'])
def test_nothing_that_mmengine_loads_is_executed(programs, tmp_path, name, read):
    content, message = NAMES[name]
    (tmp_path / name).write_bytes(programs[content])
    with pytest.raises(InputError, match=message):
        read(str(tmp_path / name))


@pytest.mark.parametrize('file_format', ['pkl', 'yaml'])
def test_the_name_of_a_format_leads_nowhere_else(programs, tmp_path, file_format):
    content = programs['yaml' if file_format == 'yaml' else 'pickle']
    (tmp_path / 'a.json').write_bytes(content)
    with pytest.raises(InputError):
        mmengine.load(tmp_path / 'a.json', file_format=file_format)


@pytest.mark.parametrize('name', ['plain.json', 'plain.yaml'])
def test_plain_data_is_read_as_before(tmp_path, name):
    content = dict(names=['a', 'b'], number=1.5, nothing=None)
    mmengine.dump(content, tmp_path / name)
    assert mmengine.load(tmp_path / name) == content


def test_pickles_are_written_as_before(tmp_path):
    mmengine.dump([1, 2], tmp_path / 'results.pkl')
    assert pickle.loads((tmp_path / 'results.pkl').read_bytes()) == [1, 2]
