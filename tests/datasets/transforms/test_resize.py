import numpy as np
import pytest
from mmdet.datasets.transforms import Resize

from mmdefocus.datasets.transforms import ResizeToPixels


def resize(kind, height, width, **settings):
    results = {'img': np.zeros((height, width, 3), np.uint8), 'img_shape': (height, width)}
    return kind(scale=(96, 96), keep_ratio=True, **settings).transform(results)


@pytest.mark.parametrize(('height', 'width'), [(1, 500), (500, 1), (1, 100_000)])
def test_a_thin_image_keeps_a_pixel(height, width):
    results = resize(ResizeToPixels, height, width)
    assert results['img'].shape == (1 if height == 1 else 96, 1 if width == 1 else 96, 3)
    assert results['img_shape'] == results['img'].shape[:2]
    assert results['scale_factor'] == (
        results['img'].shape[1] / width,
        results['img'].shape[0] / height,
    )


@pytest.mark.parametrize(('height', 'width'), [(40, 600), (300, 400), (3, 300)])
def test_other_images_are_resized_as_by_mmdet(height, width):
    ours, theirs = (resize(kind, height, width) for kind in (ResizeToPixels, Resize))
    assert ours['img'].shape == theirs['img'].shape
    assert ours['scale_factor'] == theirs['scale_factor']
