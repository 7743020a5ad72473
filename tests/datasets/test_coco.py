"""Labels of COCO files are those of the names, in the dataset and in the metric."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import DATASETS, METRICS, DefaultScope

import mmdefocus.datasets
import mmdefocus.evaluation  # noqa: F401
from mmdefocus.datasets.coco_contents import coco_contents
from mmdefocus.datasets.coco_file import read_coco_table
from mmdefocus.utils.errors import InputError

CLASSES = ('circle', 'square')
ORDERS = [CLASSES, CLASSES[::-1], ('square', 'other', 'circle')]


def build(path, **settings):
    with DefaultScope.overwrite_default_scope('mmdet'):
        return DATASETS.build(
            {
                'type': 'CocoByName',
                'ann_file': str(path),
                'metainfo': {'classes': CLASSES},
                'data_prefix': {'img': str(path.parent / 'images')},
                **settings,
            }
        )


def labels(dataset):
    return [dataset.get_data_info(i)['instances'][0]['bbox_label'] for i in range(len(dataset))]


@pytest.mark.parametrize('order', ORDERS)
def test_labels_go_by_name_whatever_the_order_of_the_file(write_coco, order):
    assert labels(build(write_coco(order))) == [0, 1, 0, 1]


@pytest.mark.parametrize('order', ORDERS)
def test_metric_takes_labels_by_name_whatever_the_order_of_the_file(write_coco, order):
    with DefaultScope.overwrite_default_scope('mmdet'):
        metric = METRICS.build({'type': 'CocoMetricByName', 'ann_file': str(write_coco(order))})
    metric.dataset_meta = {'classes': CLASSES}
    samples = [
        {
            'img_id': i,
            'ori_shape': (40, 60),
            'pred_instances': {
                'bboxes': torch.tensor([[5.0, 5.0, 25.0, 25.0]]),
                'scores': torch.tensor([0.9]),
                'labels': torch.tensor([(i - 1) % 2]),
            },
        }
        for i in range(1, 5)
    ]
    metric.process({}, samples)
    assert metric.evaluate(4)['coco/bbox_mAP'] == 1.0


def test_a_misspelt_class_is_refused_with_the_names_of_the_file(write_coco):
    path = write_coco()
    with pytest.raises(InputError, match=r"truth.json: no category 'sqare'; nearest: 'square'"):
        build(path, metainfo={'classes': ('circle', 'sqare')})


def test_another_case_is_refused(write_coco):
    with pytest.raises(InputError, match="no category 'Circle', 'SQUARE'; nearest: 'circle'"):
        build(write_coco(), metainfo={'classes': ('Circle', 'SQUARE')})


def test_classes_without_the_comma_are_refused(write_coco):
    with pytest.raises(InputError, match=r"got the text 'circle'; write \('circle',\)"):
        build(write_coco(), metainfo={'classes': ('circle')})


def test_optional_fields_are_filled_in(write_coco):
    def edit(content):
        for annotation in content['annotations']:
            del annotation['area'], annotation['iscrowd']

    path = write_coco(edit=edit)
    assert labels(build(path)) == [0, 1, 0, 1]


def of_first(kind, **values):
    return lambda content: content[kind][0].update(values)


@pytest.mark.parametrize(
    ('edit', 'message'),
    [
        (
            of_first('annotations', bbox='5, 5, 20, 20'),
            r'got `str` at `annotations\[0\].bbox',
        ),
        (
            of_first('annotations', bbox=[5, 5, '20', 20]),
            r'at `annotations\[0\].bbox\[2\]',
        ),
        (of_first('annotations', bbox=[5, 5, float('nan'), 20]), 'annotation 1: expected finite'),
        (of_first('annotations', area=float('inf')), 'annotation 1: expected finite numbers'),
        (of_first('annotations', bbox=[5, 5, 20]), r'length 4 at `annotations\[0\].bbox`'),
        (of_first('annotations', bbox=None), 'expected `array`, got `null`'),
        (lambda c: c['annotations'][1].pop('bbox') and None, r'`bbox` at `annotations\[1\]`'),
        (
            of_first('annotations', area='400'),
            r'at `annotations\[0\].area`, counted from 0',
        ),
        (of_first('annotations', iscrowd='0'), r'got `str` at `annotations\[0\].iscrowd`'),
        (of_first('annotations', iscrowd=2), r'value 2 at `annotations\[0\].iscrowd`'),
        (of_first('annotations', category_id=99), 'annotation 1: category_id 99 is not in'),
        (
            of_first('annotations', category_id=[1]),
            r'at `annotations\[0\].category_id`',
        ),
        (of_first('annotations', image_id=None), r'got `null` at `annotations\[0\].image_id`'),
        (of_first('annotations', id=2), 'annotations: id 2 more than once; mend the file'),
        (lambda c: c['annotations'][0].pop('id') and None, 'missing required field `id`'),
        (of_first('images', width='60'), r'got `str` at `images\[0\].width`'),
        (of_first('images', width=0), r'`int` >= 1 at `images\[0\].width`'),
        (lambda c: c['images'][0].pop('height') and None, 'missing required field `height`'),
        (of_first('images', file_name=None), r'`str`, got `null` at `images\[0\].file_name`'),
        (of_first('images', id=2), 'images: id 2 more than once'),
        (of_first('categories', name=None), r'`str`, got `null` at `categories\[0\].name`'),
        (of_first('categories', name='square'), "categories: name 'square' more than once"),
        (of_first('categories', id=3), 'categories: id 3 more than once'),
        (lambda c: {**c, 'images': []}, 'length >= 1 at `images`'),
        (lambda c: c.pop('categories') and None, 'missing required field `categories`'),
        (lambda c: c['images'], 'COCO format: expected `object`, got `array`; mend the file'),
    ],
)
def test_a_field_that_would_be_misread_is_named(write_coco, edit, message):
    with pytest.raises(InputError, match=message):
        build(write_coco(edit=edit))


def test_more_faults_of_a_kind_are_counted(write_coco):
    def edit(content):
        for annotation in content['annotations']:
            annotation['bbox'][0] = float('nan')

    with pytest.raises(InputError, match=r'annotation 1: .* \(and 3 more such faults\)'):
        build(write_coco(edit=edit))


@pytest.mark.parametrize('encoding', ['utf-8-sig', 'utf-16'])
def test_files_in_other_encodings_are_read(write_coco, encoding):
    path = write_coco()
    path.write_text(path.read_text(), encoding=encoding)
    assert labels(build(path)) == [0, 1, 0, 1]


@pytest.mark.parametrize('content', [b'', b'{', b'\xff\xfe\xff', b'{"images": [}'])
def test_a_file_that_is_no_json_is_named(tmp_path, content):
    path = tmp_path / 'truth.json'
    path.write_bytes(content)
    with pytest.raises(InputError, match=r'truth.json: expected JSON in COCO format'):
        build(path)


def random_boxes(content):
    """Twenty boxes, many of which cannot be used."""
    rng = np.random.default_rng(0)
    content['images'][3].update(width=6, height=6)
    content['annotations'] = [
        {
            'id': number,
            'image_id': int(rng.choice([1, 2, 3, 4, 9])),
            'category_id': int(rng.choice([7, 3, 9])),
            'bbox': [*rng.integers(-30, 70, 2).tolist(), *rng.choice([0, 0.5, 9, 30], 2).tolist()],
            'iscrowd': int(rng.random() < 0.2),
            **({'area': float(rng.choice([0, 50]))} if number % 2 else {}),
            **({'ignore': 1} if number % 7 == 0 else {}),
        }
        for number in range(60)
    ]


@pytest.mark.parametrize('needs_objects', [False, True])
def test_what_is_counted_is_what_the_dataset_holds(write_coco, needs_objects):
    path = write_coco(('square', 'other', 'circle'), edit=random_boxes)
    counted = coco_contents(
        str(path), read_coco_table(str(path)), CLASSES, '', min_size=8, needs_objects=needs_objects
    )
    dataset = build(path, filter_cfg={'min_size': 8, 'filter_empty_gt': needs_objects})
    held = [dataset.get_data_info(i) for i in range(len(dataset))]
    assert [image for image, _ in counted.images] == [Path(info['img_path']).name for info in held]
    assert counted.objects == Counter(
        CLASSES[box['bbox_label']]
        for info in held
        for box in info['instances']
        if not box['ignore_flag']
    )
