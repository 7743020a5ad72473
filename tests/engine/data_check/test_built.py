"""Data that only their own classes can read are built, counted, and held against their names."""

import json
import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config

import mmdefocus.datasets  # noqa: F401
from mmdefocus.engine.data_check import check_datasets
from mmdefocus.utils.errors import InputError

CLASSES = ('cat', 'dog')
XML = """<annotation><size><width>60</width><height>40</height></size>{objects}</annotation>"""
OBJECT = """<object><name>{name}</name><difficult>0</difficult><bndbox><xmin>5</xmin><ymin>5</ymin>
<xmax>25</xmax><ymax>25</ymax></bndbox></object>"""


def counted(scope, dataset, model):
    """Returns what a training would read of a dataset."""
    cfg = Config({'default_scope': scope, 'model': model, 'train_dataloader': {'dataset': dataset}})
    ((part,),) = check_datasets(cfg).values()
    return part.contents


def counted_boxes(kind, folder, classes, files):
    """Returns what a training would read of a dataset of boxes."""
    dataset = {'type': kind, 'metainfo': {'classes': classes}, 'data_root': str(folder), **files}
    return counted('mmdet', dataset, {'bbox_head': {'num_classes': len(classes)}})


@pytest.fixture
def count_voc(tmp_path):
    """Counts two pictures in VOC's format, with a cat and a dog on each, and a mouse on one."""
    for folder in ('Annotations', 'JPEGImages'):
        (tmp_path / folder).mkdir()
    (tmp_path / 'train.txt').write_text('1\n2\n')
    for number in (1, 2):
        cv2.imwrite(str(tmp_path / f'JPEGImages/{number}.jpg'), np.zeros((40, 60, 3), np.uint8))
        names = ['cat', 'dog', 'mouse'][: number + 1]
        objects = ''.join(OBJECT.format(name=name) for name in names)
        (tmp_path / f'Annotations/{number}.xml').write_text(XML.format(objects=objects))

    def count(classes):
        files = {'ann_file': 'train.txt', 'data_prefix': {'sub_data_root': ''}}
        return counted_boxes('XMLDataset', tmp_path, classes, files)

    return count


def test_objects_of_voc_are_counted_by_name(count_voc):
    contents = count_voc(CLASSES)
    assert contents.objects == {'cat': 2, 'dog': 2}
    assert contents.left_out == {"boxes of 'mouse', which is not in classes": 1}
    assert [Path(path).name for path, _ in contents.images] == ['1.jpg', '2.jpg']


def test_a_misspelt_class_of_voc_is_refused(count_voc):
    with pytest.raises(InputError, match=r"no object is named 'Mouse'; nearest: 'mouse'"):
        count_voc((*CLASSES, 'Mouse'))


def test_a_class_of_voc_without_an_object_is_taken(count_voc):
    assert count_voc((*CLASSES, 'zebra')).objects.total() == 4


def test_pictures_of_cifar_are_counted_without_files(tmp_path, monkeypatch):
    batch = {'data': np.zeros((3, 3072), np.uint8), 'labels': [1, 1, 9]}
    monkeypatch.setattr('mmpretrain.datasets.CIFAR10._check_integrity', lambda self: True)
    monkeypatch.setattr('mmpretrain.datasets.CIFAR10.train_list', [('data_batch_1', '')])
    meta = {'label_names': list('0123456789')}
    for name, content in (('data_batch_1', batch), ('batches.meta', meta)):
        path = tmp_path / 'cifar-10-batches-py' / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(pickle.dumps(content))
    contents = counted(
        'mmpretrain',
        {'type': 'CIFAR10', 'data_root': str(tmp_path), 'split': 'train'},
        {'head': {'num_classes': 10}},
    )
    assert contents.objects == {'automobile': 2, 'truck': 1}
    assert contents.num_images == 3


def test_categories_in_another_order_than_the_classes_are_refused(tmp_path):
    cv2.imwrite(str(tmp_path / '1.jpg'), np.zeros((40, 60, 3), np.uint8))
    content = {
        'images': [{'id': 1, 'file_name': '1.jpg', 'width': 60, 'height': 40}],
        'annotations': [
            {'id': 1, 'image_id': 1, 'category_id': 1, 'bbox': [5, 5, 9, 9], 'area': 81}
            | {'iscrowd': 0}
        ],
        'categories': [{'id': 1, 'name': 'dog'}, {'id': 2, 'name': 'cat'}],
    }
    (tmp_path / 'truth.json').write_text(json.dumps(content))
    files = {'ann_file': 'truth.json', 'data_prefix': {'img': ''}}
    with pytest.raises(InputError, match=r"in the order of .*truth.json, 'dog', 'cat', and named"):
        counted_boxes('Objects365V1Dataset', tmp_path, CLASSES, files)


@pytest.mark.parametrize(
    ('dataset', 'message'),
    [
        ({'type': 'XMLDatset'}, "type 'XMLDatset' is not registered; nearest: XMLDataset"),
        ({'type': 'XMLDataset', 'anno_file': 'a'}, "no argument 'anno_file'; nearest: ann_file"),
    ],
)
def test_a_wrong_name_in_a_dataset_is_refused_with_the_nearest(dataset, message):
    with pytest.raises(InputError, match=message):
        counted('mmdet', dataset, {})
