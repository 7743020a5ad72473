"""Labels of COCO files are those of the names, in the dataset and in the metric."""

import pytest
import torch
from mmengine.registry import DATASETS, METRICS, DefaultScope

import mmdefocus.datasets
import mmdefocus.evaluation  # noqa: F401
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
        (of_first('annotations', bbox='5, 5, 20, 20'), 'annotation 1: bbox: expected four'),
        (of_first('annotations', bbox=[5, 5, '20', 20]), 'annotation 1: bbox: expected four'),
        (of_first('annotations', bbox=[5, 5, float('nan'), 20]), 'annotation 1: bbox: expected'),
        (of_first('annotations', bbox=[5, 5, 20]), 'annotation 1: bbox: expected four finite'),
        (of_first('annotations', bbox=None), 'annotation 1: bbox: expected four finite numbers'),
        (of_first('annotations', area='400'), 'annotation 1: area: expected a finite number, got'),
        (of_first('annotations', iscrowd='0'), "annotation 1: iscrowd: expected 0 or 1, got '0'"),
        (of_first('annotations', category_id=99), 'annotation 1: category_id: 99 is not in'),
        (of_first('annotations', category_id=[1]), r'annotation 1: category_id: \[1\] is not in'),
        (of_first('annotations', image_id=None), 'annotation 1: image_id: expected a number or a'),
        (of_first('annotations', id=2), 'annotation 2: its id stands more than once'),
        (lambda c: c['annotations'][0].pop('id') and None, 'annotation of image 1: id: expected a'),
        (of_first('images', width='60'), "image 1: width: expected a positive number, got '60'"),
        (lambda c: c['images'][0].pop('height') and None, 'image 1: height: expected a positive'),
        (of_first('images', file_name=None), 'image 1: file_name: expected a text, got None'),
        (of_first('images', id=2), 'image 2: its id stands more than once'),
        (of_first('categories', name=None), 'categories: expected `id` and `name`'),
        (of_first('categories', name='square'), "categories: name 'square' more than once"),
        (lambda c: {**c, 'images': []}, 'the list `images` is empty'),
        (lambda c: c.pop('categories') and None, 'expected a list `categories`, got None'),
        (lambda c: c['images'], 'expected a JSON object in COCO format, got a list'),
    ],
)
def test_a_field_that_would_be_misread_is_named(write_coco, edit, message):
    with pytest.raises(InputError, match=message):
        build(write_coco(edit=edit))


def test_more_faults_of_a_kind_are_counted(write_coco):
    def edit(content):
        for annotation in content['annotations']:
            annotation['bbox'] = None

    with pytest.raises(InputError, match=r'annotation 1: .* \(and 3 more such faults\)'):
        build(write_coco(edit=edit))
