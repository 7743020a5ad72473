"""Labels of folders are those of the names, whichever folders a split has."""

import cv2
import numpy as np
import pytest
from mmengine.registry import DATASETS, DefaultScope
from PIL import Image

import mmdefocus.datasets  # noqa: F401
from mmdefocus.datasets.image_files import IMAGE_SUFFIXES
from mmdefocus.datasets.transforms import LoadImage
from mmdefocus.utils.errors import InputError


@pytest.fixture
def build(tmp_path):
    """Builds the dataset of folders of one image each."""

    def make(folders, suffix='png', **settings):
        for name in folders:
            (tmp_path / name).mkdir()
            cv2.imwrite(str(tmp_path / name / f'0.{suffix}'), np.zeros((8, 8, 3), np.uint8))
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            config = {'type': 'FoldersByName', 'data_root': str(tmp_path), **settings}
            return DATASETS.build(config)

    return make


def labels(dataset):
    return [dataset.get_data_info(i)['gt_label'] for i in range(len(dataset))]


def test_a_missing_folder_does_not_shift_the_labels(build):
    assert labels(build(('b', 'c'), classes=('a', 'b', 'c'))) == [1, 2]


def test_labels_follow_the_order_of_the_classes(build):
    assert labels(build(('a', 'b'), metainfo={'classes': ('b', 'a')})) == [1, 0]


def test_without_classes_the_folders_are_numbered_by_the_alphabet(build):
    dataset = build(('b', 'a'))
    assert labels(dataset) == [0, 1]
    assert dataset.metainfo['classes'] == ('a', 'b')


def test_a_folder_that_is_no_class_is_refused(build):
    with pytest.raises(InputError, match="folder 'A' is not in classes; nearest: 'a'"):
        build(('A', 'b'), classes=('a', 'b'))


@pytest.mark.parametrize('suffix', ['webp', 'tiff'])
def test_formats_that_mmpretrain_skips_are_read(build, suffix):
    assert labels(build(('a', 'b'), suffix)) == [0, 1]


def test_folders_without_images_are_refused(build, tmp_path):
    (tmp_path / 'a').mkdir()
    with pytest.raises(InputError, match='no image in the folders of the classes'):
        build(())


@pytest.mark.parametrize('suffix', IMAGE_SUFFIXES)
def test_every_suffix_of_an_image_is_decoded(suffix, tmp_path):
    path = tmp_path / f'image{suffix}'
    if suffix == '.jp2':  # OpenCV reads it, and writes none
        Image.new('RGB', (64, 64), 'white').save(path)
    else:
        grey = suffix in ('.pbm', '.pgm')
        cv2.imwrite(str(path), np.full((64, 64) if grey else (64, 64, 3), 255, np.uint8))
    image = LoadImage()({'img_path': str(path)})['img']
    assert image.shape == (64, 64, 3)
    assert image.min() >= 250
