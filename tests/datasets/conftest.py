"""A COCO file of two classes, whose categories stand in the order that a test asks for."""

import json

import cv2
import numpy as np
import pytest


def truth(names=('circle', 'square')) -> dict:
    """Four images of 60 x 40, each with one object; the classes take turns."""
    numbers = {'circle': 7, 'square': 3}
    return {
        'images': [
            {'id': i, 'file_name': f'{i}.jpg', 'width': 60, 'height': 40} for i in range(1, 5)
        ],
        'annotations': [
            {
                'id': i,
                'image_id': i,
                'category_id': numbers['circle' if i % 2 else 'square'],
                'bbox': [5, 5, 20, 20],
                'area': 400,
                'iscrowd': 0,
            }
            for i in range(1, 5)
        ],
        'categories': [{'id': numbers.get(name, 9), 'name': name} for name in names],
    }


@pytest.fixture
def write_coco(tmp_path):
    """Writes a COCO file and its images; `edit` changes its content before. Returns its path."""

    def write(names=('circle', 'square'), edit=None, name='truth'):
        content = truth(names)
        if edit is not None:
            content = edit(content) or content
        folder = tmp_path / 'images'
        folder.mkdir(exist_ok=True)
        for number in range(1, 5):
            cv2.imwrite(str(folder / f'{number}.jpg'), np.full((40, 60, 3), 90, np.uint8))
        path = tmp_path / f'{name}.json'
        path.write_text(json.dumps(content))
        return path

    return write
