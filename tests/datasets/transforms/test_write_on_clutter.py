import numpy as np
import pytest

from mmdefocus.datasets.transforms import WriteOnClutter


def scan():
    image = np.zeros((32, 32, 3), np.uint8)
    image[8:24, 12:20] = 255
    return image


def test_ink_stands_out_from_the_ground():
    for seed in range(20):
        np.random.seed(seed)
        image = WriteOnClutter().transform({'img': scan()})['img'].astype(float).mean(2)
        ink = scan()[..., 0] > 0
        assert abs(image[ink].mean() - image[~ink].mean()) > 30


def test_same_seed_gives_the_same_image():
    images = []
    for _ in range(2):
        np.random.seed(3)
        images.append(WriteOnClutter().transform({'img': scan()})['img'])
    assert images[0].shape == (32, 32, 3) and images[0].dtype == np.uint8
    assert (images[0] == images[1]).all()


def test_probability_zero_leaves_the_image():
    assert (WriteOnClutter(prob=0.0).transform({'img': scan()})['img'] == scan()).all()


def test_probability_out_of_range_is_an_error_that_names_it():
    with pytest.raises(ValueError, match='prob'):
        WriteOnClutter(prob=1.5)
