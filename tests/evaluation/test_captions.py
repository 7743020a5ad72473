import cv2
import numpy as np

from mmdefocus.evaluation.captions import SIDE, TEXT_WIDTH, with_captions


def test_picture_shows_image_and_lines():
    image = np.full((20, 10, 3), 200, np.uint8)
    picture = with_captions(image, ['a three', 'ein schönes Bild'])
    width = SIDE
    assert picture.shape == (2 * width, width + TEXT_WIDTH, 3)
    np.testing.assert_array_equal(
        picture[:, :width], cv2.resize(image, (width, 2 * width), interpolation=cv2.INTER_CUBIC)
    )
    assert (picture[:, width:] < 64).any()


def test_a_text_that_is_too_long_ends_in_dots_before_the_edge():
    image = np.zeros((8, 8, 3), np.uint8)
    short, long = (with_captions(image, ['w' * n]) for n in (20, 200))
    assert (long[:, -8:] == 255).all()
    assert (long != short).any()
