import cv2
import numpy as np

from mmdefocus.evaluation.captions import LINE, MOST_LINES, SIDE, TEXT_WIDTH, with_captions
from mmdefocus.evaluation.drawing import LARGEST_PICTURE


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


def test_a_thin_image_has_a_picture_of_bounded_size():
    wide, high = (with_captions(np.zeros(s, np.uint8), ['a']) for s in ((1, 3000, 3), (3000, 1, 3)))
    assert wide.shape[1] == LARGEST_PICTURE + TEXT_WIDTH
    assert high.shape[0] == LARGEST_PICTURE


def test_too_many_lines_are_counted_in_the_last_one():
    image = np.zeros((8, 8, 3), np.uint8)
    found = with_captions(image, ['a'] * 1000)
    assert LARGEST_PICTURE - 2 * LINE < found.shape[0] <= LARGEST_PICTURE
    counted = with_captions(image, [f'and {1000 - MOST_LINES + 1} more'])
    place = LINE * (MOST_LINES - 1)
    np.testing.assert_array_equal(found[place + 5 : place + 20, SIDE:], counted[5:20, SIDE:])
