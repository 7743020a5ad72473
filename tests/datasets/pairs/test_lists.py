import json

import cv2
import numpy as np
import pytest

from mmdefocus.datasets import ImageTextPairs
from mmdefocus.utils.errors import InputError

ROWS = [{'image': f'{i}.png', 'caption': f'caption {i}', 'label': i} for i in range(3)]


@pytest.fixture
def make(tmp_path):
    """Returns a dataset of the rows of a JSON file, with their images."""
    for number in range(3):
        cv2.imwrite(str(tmp_path / f'{number}.png'), np.full((8, 8, 3), number, np.uint8))

    def make(rows=ROWS, **settings):
        (tmp_path / 'list.json').write_text(json.dumps(rows))
        pipeline = [dict(type='LoadImage')]
        return ImageTextPairs('list.json', str(tmp_path), pipeline, **settings)

    return make


def test_json_gives_images_captions_and_labels(make):
    dataset = make()
    samples = [dataset[index] for index in range(3)]
    found = [(sample['img'].mean(), sample['caption'], sample['gt_label']) for sample in samples]
    assert found == [(i, f'caption {i}', i) for i in range(3)]


def test_csv_is_read_as_json(make, tmp_path):
    expected = [make().get_data_info(i) for i in range(3)]
    lines = ['image,caption,label', *(','.join(map(str, row.values())) for row in ROWS)]
    (tmp_path / 'list.csv').write_text('\n'.join(lines))
    dataset = ImageTextPairs('list.csv', str(tmp_path))
    assert [dataset.get_data_info(i) for i in range(3)] == expected


@pytest.mark.parametrize('name', ['../other.png', '/etc/passwd'])
def test_image_outside_of_the_folder_is_refused(make, name):
    with pytest.raises(InputError, match=r'row 1: image .* is outside of'):
        make([{'image': name, 'caption': 'a'}])


@pytest.mark.parametrize(
    ('row', 'message'),
    [
        ({'caption': 'a'}, 'row 1: no image'),
        ({'image': '0.png', 'caption': ' '}, 'row 1: empty caption'),
        ({'image': '0.png', 'label': 'x'}, 'row 1: expected a label of 0 or more'),
    ],
)
def test_row_that_cannot_be_used_is_named(make, row, message):
    with pytest.raises(InputError, match=message):
        make([row])


def test_broken_image_is_skipped_and_counted(make, tmp_path):
    (tmp_path / '1.png').write_bytes(b'broken')
    dataset = make(max_broken=1)
    assert [dataset[i]['gt_label'] for i in range(3)] == [0, 2, 2]
    assert dataset.broken.count == 1
    with pytest.raises(InputError, match='2 broken samples, more than max_broken=1'):
        dataset[1]


def test_broken_image_of_a_test_is_an_error(make, tmp_path):
    (tmp_path / '1.png').write_bytes(b'broken')
    with pytest.raises(InputError, match='more than max_broken=0'):
        make(max_broken=9, test_mode=True)[1]


def test_file_of_another_kind_is_refused(tmp_path):
    with pytest.raises(InputError, match=r'list.txt: expected a name that ends in .csv or .json'):
        ImageTextPairs('list.txt', str(tmp_path))


def test_missing_list_is_named(tmp_path):
    with pytest.raises(InputError, match=r'list.json: no such file'):
        ImageTextPairs('list.json', str(tmp_path))
