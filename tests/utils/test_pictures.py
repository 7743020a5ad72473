import os

import cv2
import numpy as np
import pytest

from mmdefocus.utils.pictures import write_picture

IMAGE = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)


def test_a_picture_is_the_one_that_was_written(tmp_path):
    write_picture(tmp_path / 'a.png', IMAGE)
    assert (cv2.imread(str(tmp_path / 'a.png')) == IMAGE).all()


def test_a_name_may_be_no_text(tmp_path):
    path = tmp_path / os.fsdecode(b'caf\xe9.PNG')
    write_picture(path, IMAGE)
    assert (cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR) == IMAGE).all()


def test_what_the_system_refuses_is_raised(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_picture(tmp_path / 'absent' / 'a.png', IMAGE)
