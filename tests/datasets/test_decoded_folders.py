"""Images that stay in memory."""

import cv2
import numpy as np
import pytest
from mmengine.registry import DATASETS, DefaultScope

import mmdefocus.datasets  # noqa: F401
from mmdefocus.utils.errors import InputError


@pytest.fixture
def folder(tmp_path):
    """Two classes of two images, whose pixels tell them apart."""
    for value, name in enumerate(('a/0', 'a/1', 'b/0', 'b/1')):
        path = tmp_path / f'{name}.png'
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), np.full((4, 6, 3), value, np.uint8))
    return tmp_path


def build(folder, **settings):
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return DATASETS.build({'type': 'DecodedFolders', 'data_root': str(folder), **settings})


def test_samples_have_pixels_shapes_and_labels_without_a_loader(folder):
    samples = [*build(folder)]
    assert [sample['gt_label'] for sample in samples] == [0, 0, 1, 1]
    assert [sample['img'].max() for sample in samples] == [0, 1, 2, 3]
    assert all(sample['img_shape'] == sample['ori_shape'] == (4, 6) for sample in samples)


def test_files_are_read_once(folder):
    dataset = build(folder)
    for path in folder.rglob('*.png'):
        path.unlink()
    assert dataset[3]['img'].max() == 3


def test_a_transform_may_write_into_the_pixels(folder):
    dataset = build(folder)
    dataset[1]['img'][:] = 9
    assert dataset[1]['img'].max() == 1


def test_a_selection_keeps_pixels_and_labels_together(folder):
    dataset = build(folder, indices=[3, 0])
    assert [(s['gt_label'], s['img'].max()) for s in dataset.get_subset([1, 0])] == [(0, 0), (1, 3)]


def test_a_broken_image_is_named(folder):
    (folder / 'b' / '1.png').write_bytes(b'no image')
    with pytest.raises(InputError, match=r'1\.png: not a whole image'):
        build(folder)
