"""Names of pictures."""

import os

import numpy as np
import pytest

from mmdefocus.apis.images import NamedImage
from mmdefocus.apis.picture_files import PictureFiles

PIXELS = np.zeros((1, 1, 3), np.uint8)


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        ('..', 'image.png'),
        ('.', 'image.png'),
        ('http://host/a/..', 'image.png'),
        ('http://host/%2e%2e', 'image.png'),
        ('http://host/a%00.png', 'a.png'),
        ('half \ud800.png', 'half ?.png'),
        ('../../a.png', 'a.png'),
    ],
)
def test_a_name_that_no_file_can_have_is_replaced(tmp_path, name, expected):
    path = PictureFiles().choose(tmp_path, NamedImage(name, PIXELS))
    assert path == tmp_path / expected


@pytest.mark.parametrize('name', ['a' * 244 + '.png', 'ü' * 122, 'a.' + 'b' * 240])
def test_a_long_name_is_shortened_so_that_an_unfinished_file_can_have_it(tmp_path, name):
    files = PictureFiles()
    first, second = (files.choose(tmp_path, NamedImage(name, PIXELS)) for _ in range(2))
    assert first != second
    assert first.suffix == second.suffix == '.png'
    assert all(190 < len(os.fsencode(path.name)) < 210 for path in (first, second))
