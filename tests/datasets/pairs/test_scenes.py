import json
import tarfile

import numpy as np
import pytest

from mmdefocus.datasets.pairs.scenes import CaptionedScene, write_scenes
from mmdefocus.utils.errors import InputError


def scene(caption, *labels):
    return CaptionedScene(np.zeros((4, 4, 3), np.uint8), caption, labels)


def test_scenes_become_shards_a_list_and_texts(tmp_path):
    train, val = [scene('a one', 1)] * 3, [scene('a one', 1), scene('one and two', 1, 2)]
    write_scenes(tmp_path / 'out', iter(train), iter(val), {'classes.txt': 'one\n'})
    with tarfile.open(tmp_path / 'out' / 'train-0000.tar') as tar:
        assert len(tar.getnames()) == 9
    assert json.loads((tmp_path / 'out' / 'val.json').read_text()) == [
        {'image': 'val/00000.png', 'caption': 'a one', 'label': 1},
        {'image': 'val/00001.png', 'caption': 'one and two'},
    ]
    assert (tmp_path / 'out' / 'classes.txt').read_text() == 'one\n'


def test_what_fails_half_way_leaves_nothing(tmp_path):
    def broken():
        yield scene('a one', 1)
        raise OSError('disk full')

    with pytest.raises(OSError, match='disk full'):
        write_scenes(tmp_path / 'out', [scene('a one', 1)], broken())
    assert list(tmp_path.iterdir()) == []


def test_folder_that_exists_is_left_alone(tmp_path):
    (tmp_path / 'out').mkdir()
    with pytest.raises(InputError, match='exists; remove it first'):
        write_scenes(tmp_path / 'out', [], [])
