"""What a config says about its data is held against the files, before anything is trained."""

import json
import shutil

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

import mmdefocus.datasets
import mmdefocus.evaluation  # noqa: F401
from mmdefocus.engine.data_check import check_datasets, check_first_classes, check_trained_classes
from mmdefocus.utils.errors import InputError

CLASSES = ('circle', 'square')


def coco_file(path, names=CLASSES, boxes=4, **annotation):
    """Writes four images and a COCO file for them."""
    folder = path.parent / 'images'
    folder.mkdir(exist_ok=True)
    for number in range(1, 5):
        cv2.imwrite(str(folder / f'{number}.jpg'), np.full((40, 60, 3), 90, np.uint8))
    categories = [{'id': {'circle': 7, 'square': 3}.get(name, 9), 'name': name} for name in names]
    box = {'category_id': 7, 'bbox': [5, 5, 20, 20], 'area': 400, 'iscrowd': 0, **annotation}
    content = {
        'images': [
            {'id': i, 'file_name': f'{i}.jpg', 'width': 60, 'height': 40} for i in range(1, 5)
        ],
        'annotations': [{**box, 'id': i, 'image_id': i} for i in range(1, boxes + 1)],
        'categories': categories,
    }
    path.write_text(json.dumps(content))


@pytest.fixture
def detection(tmp_path):
    """A config of a detector, whose training and validation file are the same."""
    coco_file(tmp_path / 'truth.json')
    dataset = {
        'type': 'CocoByName',
        'metainfo': {'classes': CLASSES},
        'data_root': str(tmp_path),
        'ann_file': 'truth.json',
        'data_prefix': {'img': 'images'},
        'pipeline': [],
    }
    cfg = Config(
        {
            'default_scope': 'mmdet',
            'model': {'type': 'DINO', 'bbox_head': {'num_classes': 2}},
            'train_dataloader': {'dataset': dataset},
            'val_dataloader': {'dataset': dataset},
            'val_evaluator': {
                'type': 'CocoMetricByName',
                'ann_file': str(tmp_path / 'truth.json'),
            },
        }
    )
    return cfg


@pytest.fixture
def folders(tmp_path):
    """A config of a classifier of the folders a, b and c, with two images each."""
    for split in ('train', 'val'):
        for name in 'abc':
            (tmp_path / split / name).mkdir(parents=True)
            for number in range(2):
                path = tmp_path / split / name / f'{number}.png'
                cv2.imwrite(str(path), np.zeros((8, 8, 3), np.uint8))
    loaders = {
        f'{split}_dataloader': {
            'dataset': {'type': 'FoldersByName', 'data_root': str(tmp_path / split)}
        }
        for split in ('train', 'val')
    }
    return Config(
        {
            'default_scope': 'mmpretrain',
            'model': {
                'type': 'ImageClassifier',
                'data_preprocessor': {'num_classes': 3},
                'head': {'num_classes': 3},
            },
            'val_evaluator': {'type': 'Accuracy', 'topk': (1,)},
            **loaders,
        }
    )


def refused(cfg):
    with pytest.raises(InputError) as error:
        check_datasets(cfg)
    return str(error.value)


def test_images_and_objects_are_counted_by_class(detection, capsys):
    found = check_datasets(detection)
    (part,) = found['train_dataloader']
    assert len(part.contents.images) == 4
    assert part.contents.objects == {'circle': 4}
    printed = capsys.readouterr().out
    assert 'train: no object of square' in printed
    assert 'data checked in' in printed


@pytest.mark.parametrize(
    ('annotation', 'reason'),
    [
        ({'bbox': [5, 5, 0, 20]}, 'boxes of no area or of less than a pixel'),
        ({'area': 0}, 'boxes of no area or of less than a pixel'),
        ({'bbox': [100, 5, 20, 20]}, 'boxes outside their image'),
        ({'ignore': 1}, 'boxes marked `ignore`'),
        ({'image_id': 9}, 'boxes of images that are not in the file'),
    ],
)
def test_boxes_that_are_left_out_are_counted_with_the_reason(
    detection, tmp_path, annotation, reason
):
    path = tmp_path / 'truth.json'
    content = json.loads(path.read_text())
    content['annotations'][0].update(annotation)
    path.write_text(json.dumps(content))
    (part,) = check_datasets(detection)['train_dataloader']
    assert part.contents.left_out == {reason: 1}
    assert part.contents.objects.total() == 3


def test_boxes_of_other_classes_are_counted(detection, tmp_path):
    coco_file(tmp_path / 'truth.json', (*CLASSES, 'star'))
    detection.merge_from_dict(
        {f'{split}_dataloader.dataset.metainfo.classes': ('square',) for split in ('train', 'val')}
    )
    message = refused(detection)
    assert 'train_dataloader: no usable object in' in message
    assert "4 boxes of 'circle', which is not in classes" in message


def test_a_class_that_the_file_lacks_is_refused(detection):
    detection.train_dataloader.dataset.metainfo.classes = ('circle', 'sqare')
    assert "truth.json: no category 'sqare'; nearest: 'square'" in refused(detection)


def test_a_text_for_classes_is_refused(detection):
    detection.train_dataloader.dataset.metainfo.classes = 'circle'
    message = refused(detection)
    assert message.startswith('train_dataloader.dataset (CocoByName): ')
    assert "got the text 'circle'; write ('circle',)" in message


def test_mmdets_class_is_refused_where_it_would_swap_names(detection, tmp_path):
    coco_file(tmp_path / 'truth.json', CLASSES[::-1])
    detection.train_dataloader.dataset.type = 'CocoDataset'
    message = refused(detection)
    assert 'labels are numbered in the order of' in message
    assert "use type 'CocoByName'" in message


def test_mmdets_metric_is_refused_where_it_would_swap_names(detection, tmp_path):
    coco_file(tmp_path / 'truth.json', CLASSES[::-1])
    detection.val_evaluator.type = 'CocoMetric'
    assert 'val_evaluator: CocoMetric goes by the order of the categories' in refused(detection)


def test_mmdets_class_is_taken_where_the_orders_agree(detection):
    detection.train_dataloader.dataset.type = 'CocoDataset'
    detection.val_evaluator.type = 'CocoMetric'
    check_datasets(detection)


def test_an_evaluator_of_other_images_is_refused(detection, tmp_path):
    content = json.loads((tmp_path / 'truth.json').read_text())
    content['images'].append({'id': 9, 'file_name': '9.jpg', 'width': 60, 'height': 40})
    (tmp_path / 'other.json').write_text(json.dumps(content))
    detection.val_evaluator.ann_file = str(tmp_path / 'other.json')
    assert 'other.json has 5 images, other ones than' in refused(detection)


@pytest.mark.parametrize('number', [1, 3, 80])
def test_a_head_for_another_number_of_classes_is_refused(detection, number):
    detection.model.bbox_head.num_classes = number
    assert f'model.bbox_head.num_classes is {number}, but train_dataloader has 2' in refused(
        detection
    )


def test_missing_image_files_are_counted_and_the_first_is_named(detection, tmp_path):
    (tmp_path / 'images' / '2.jpg').unlink()
    assert f'1 of 4 images are not there, the first is {tmp_path}/images/2.jpg' in refused(
        detection
    )


def test_images_are_opened_only_when_asked_to(detection, tmp_path):
    (tmp_path / 'images' / '2.jpg').write_bytes(b'no image')
    check_datasets(detection)
    with pytest.raises(InputError, match=r'1 of 4 images cannot be used, the first: .*2.jpg'):
        check_datasets(detection, images=True)


def test_an_image_of_another_size_than_annotated_is_refused(detection, tmp_path):
    cv2.imwrite(str(tmp_path / 'images' / '3.jpg'), np.zeros((60, 40, 3), np.uint8))
    with pytest.raises(InputError, match=r'3.jpg: 40 x 60 pixels, but annotated as 60 x 40'):
        check_datasets(detection, images=True)


@pytest.mark.parametrize(
    'wrap',
    [
        lambda dataset: {'type': 'RepeatDataset', 'times': 2, 'dataset': dataset},
        lambda dataset: {'type': 'ConcatDataset', 'datasets': [dataset, dataset]},
        lambda dataset: {'type': 'ClassBalancedDataset', 'oversample_thr': 0.1, 'dataset': dataset},
    ],
)
def test_datasets_inside_wrappers_are_read(detection, wrap):
    dataset = detection.train_dataloader.dataset.to_dict()
    detection.train_dataloader.dataset = wrap(dataset)
    parts = check_datasets(detection)['train_dataloader']
    assert all(len(part.contents.images) == 4 for part in parts)


def test_a_split_that_lacks_a_folder_is_refused_without_names(folders, tmp_path):
    shutil.rmtree(tmp_path / 'val' / 'a')
    message = refused(folders)
    assert f"the labels of {tmp_path}/val are 'b', 'c'" in message
    assert "type 'CocoByName' or 'FoldersByName'" in message


def test_a_split_may_lack_a_folder_where_the_classes_are_named(folders, tmp_path):
    shutil.rmtree(tmp_path / 'val' / 'a')
    for loader in ('train_dataloader', 'val_dataloader'):
        folders[loader].dataset.classes = ('a', 'b', 'c')
    (part,) = check_datasets(folders)['val_dataloader']
    assert part.contents.objects == {'b': 2, 'c': 2}


def test_a_folder_that_is_no_class_is_refused(folders):
    for loader in ('train_dataloader', 'val_dataloader'):
        folders[loader].dataset.classes = ('a', 'b', 'C')
    assert "folder 'c' is not in classes; nearest: 'C'" in refused(folders)


def test_mmpretrains_class_is_refused_where_it_would_swap_names(folders):
    for loader in ('train_dataloader', 'val_dataloader'):
        folders[loader].dataset.update(type='CustomDataset', classes=('b', 'a', 'c'))
    assert "use type 'FoldersByName'" in refused(folders)


def test_formats_that_mmpretrain_skips_are_counted(folders, tmp_path):
    folders.train_dataloader.dataset.type = 'CustomDataset'
    source = tmp_path / 'train' / 'a' / '0.png'
    shutil.copy(source, source.with_suffix('.webp'))
    (part,) = check_datasets(folders)['train_dataloader']
    assert part.contents.left_out == {'files of .webp, which the dataset does not read': 1}


@pytest.mark.parametrize('key', ['model.head.num_classes', 'model.data_preprocessor.num_classes'])
@pytest.mark.parametrize('number', [2, 4])
def test_a_classifier_of_another_number_of_classes_is_refused(folders, key, number):
    folders.merge_from_dict({key: number})
    assert f'{key} is {number}, but train_dataloader has 3 classes' in refused(folders)


def test_mixed_labels_need_the_number_of_classes(folders):
    folders.merge_from_dict({'model.train_cfg.augments': [{'type': 'Mixup', 'alpha': 0.8}]})
    del folders.model.data_preprocessor
    assert 'data_preprocessor.num_classes=3 must be set' in refused(folders)


def test_a_top_k_of_more_classes_than_there_are_is_refused(folders):
    folders.val_evaluator.topk = (1, 5)
    assert 'val_evaluator.topk has 5, but val_dataloader has 3 classes' in refused(folders)


@pytest.fixture
def checkpoint(tmp_path):
    """The path of a checkpoint that names its classes."""
    path = str(tmp_path / 'other.pth')
    weights = {'weight': torch.zeros(1)}
    torch.save({'state_dict': weights, 'meta': {'dataset_meta': {'classes': CLASSES}}}, path)
    return path


def test_a_checkpoint_of_other_classes_is_refused(checkpoint):
    check_trained_classes(checkpoint, 'test_dataloader.dataset', CLASSES)
    check_trained_classes(checkpoint, 'test_dataloader.dataset', None)
    with pytest.raises(InputError, match=r"trained on classes 'circle', 'square', but those of"):
        check_trained_classes(checkpoint, 'test_dataloader.dataset', CLASSES[::-1])


def test_a_training_starts_from_other_classes_but_not_from_the_same_in_another_order(checkpoint):
    check_first_classes(checkpoint, 'train_dataloader.dataset', ('cat', 'dog'))
    check_first_classes(checkpoint, 'train_dataloader.dataset', (*CLASSES, 'star'))
    check_first_classes(checkpoint, 'train_dataloader.dataset', CLASSES)
    check_first_classes(checkpoint, 'train_dataloader.dataset', None)
    with pytest.raises(InputError, match=r"trained on classes 'circle', 'square', but those of"):
        check_first_classes(checkpoint, 'train_dataloader.dataset', CLASSES[::-1])


@pytest.mark.parametrize('number', ['2', 2.0, True])
def test_a_number_of_classes_that_is_no_integer_is_refused(detection, number):
    detection.model.bbox_head.num_classes = number
    assert f'model.bbox_head.num_classes is {number!r}, but' in refused(detection)


def test_a_folder_with_the_name_of_an_image_is_no_image(detection, tmp_path):
    (tmp_path / 'images' / '2.jpg').unlink()
    (tmp_path / 'images' / '2.jpg').mkdir()
    assert '1 of 4 images are not there' in refused(detection)


def test_the_file_of_an_evaluator_is_named_with_its_key(detection, tmp_path):
    detection.val_evaluator.ann_file = str(tmp_path / 'nowhere.json')
    assert 'val_evaluator.ann_file: ' in refused(detection)


def test_a_metric_of_another_number_of_classes_is_refused(folders):
    folders.val_evaluator = {'type': 'SingleLabelMetric', 'num_classes': 5}
    assert 'val_evaluator.num_classes is 5, but val_dataloader has 3 classes' in refused(folders)


def test_folders_that_are_no_wordnet_ids_are_not_named_by_the_order_of_imagenet(folders, tmp_path):
    for split in ('train', 'val'):
        folders[f'{split}_dataloader'].dataset = {
            'type': 'ImageNet',
            'data_root': str(tmp_path),
            'data_prefix': split,
        }
    assert "train: folder 'a', 'b', 'c' is no WordNet id such as n01440764" in refused(folders)


def test_names_that_are_folders_in_another_place_are_refused(folders):
    for loader in ('train_dataloader', 'val_dataloader'):
        folders[loader].dataset.update(type='CustomDataset', classes=('c', 'b', 'misspelt'))
    assert "use type 'FoldersByName'" in refused(folders)


def test_other_names_for_the_folders_are_taken(folders):
    for loader in ('train_dataloader', 'val_dataloader'):
        folders[loader].dataset.update(type='CustomDataset', classes=('ant', 'bee', 'cat'))
    check_datasets(folders)


def test_a_dataset_of_another_scope_is_read(folders):
    folders.default_scope = 'mmdet'
    for loader in ('train_dataloader', 'val_dataloader'):
        folders[loader].dataset.update(type='CustomDataset', _scope_='mmpretrain')
    (part,) = check_datasets(folders)['train_dataloader']
    assert part.contents.objects.total() == 6
