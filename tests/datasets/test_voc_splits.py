"""Lists of splits and names of classes in Pascal VOC's layout."""

import os
from pathlib import Path

import pytest

from mmdefocus.datasets.voc_folder import FilesByStem
from mmdefocus.datasets.voc_splits import ClassNames, read_split, shared
from mmdefocus.utils.errors import InputError

FILES = FilesByStem(map(Path, ['a.xml', 'b 1.xml', 'c.d.xml']))


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('a\nb 1\n', ['a', 'b 1']),
        ('\ufeffa\r\n\r\n  b 1  \r\n', ['a', 'b 1']),
        ('a  1\nb 1 -1\n', ['a', 'b 1']),
        ('a.jpg\nc.d\nc.d.png\n', ['a', 'c.d', 'c.d']),
        ('A\n', ['a']),
        ('unknown\n', ['unknown']),
    ],
)
def test_names_are_read_from_a_list(tmp_path, text, expected):
    path = tmp_path / 'train.txt'
    path.write_bytes(text.encode())
    assert read_split(path, FILES) == expected


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (None, r'train\.txt: no such list of a split'),
        (b'\n \n', r'train\.txt: empty; expected the name of an image on each line'),
        (b'\xff\xfe\x00', r'train\.txt: expected a text file'),
    ],
)
def test_a_list_that_is_none_is_named(tmp_path, content, message):
    path = tmp_path / 'train.txt'
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_split(path, FILES)


def test_a_list_that_is_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / 'train.txt')
    with pytest.raises(InputError, match=r'train\.txt: no such list of a split; expected a file'):
        read_split(tmp_path / 'train.txt', FILES)


def test_classes_are_in_the_order_of_the_alphabet_as_they_are_written_most_often():
    classes = ClassNames({'WBC': 3, 'rbc': 1, 'RBC': 5})
    assert classes.names == ('RBC', 'WBC')
    assert classes.find('rbc') == 'RBC'


def test_classes_that_are_asked_for_keep_order_and_spelling():
    classes = ClassNames({'WBC': 3, 'rbc': 1, 'other': 5}, ['wbc', 'RBC'])
    assert classes.names == ('wbc', 'RBC')
    assert [classes.find(name) for name in ('WBC', 'rbc', 'other')] == ['wbc', 'RBC', None]


def test_two_classes_that_differ_in_case_are_kept_apart_if_both_are_asked_for():
    classes = ClassNames({'us': 1, 'US': 1}, ['us', 'US'])
    assert [classes.find(name) for name in ('us', 'US')] == ['us', 'US']


def test_a_class_that_is_not_there_is_refused_with_the_nearest():
    with pytest.raises(InputError, match="--classes: no class 'RCB'; nearest: 'RBC'"):
        ClassNames({'RBC': 1}, ['RCB'])


def test_images_that_two_splits_share_are_counted():
    splits = {'train': ['a', 'b'], 'val': ['c'], 'trainval': ['a', 'b', 'c'], 'test': ['c', 'd']}
    assert shared(splits) == {('val', 'test'): 1, ('trainval', 'test'): 1}
