"""The converter of boxes from Pascal VOC's format, on small folders and on BCCD."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope

from mmdefocus.engine.data_check import check_datasets

BCCD = Path(__file__).parents[3] / 'shared' / 'data' / 'bccd.zip'
LISTS = 'ImageSets/Main'


def box(name='cat', corners=(10, 5, 30, 40), difficult=0):
    sides = ''.join(
        f'<{side}>{value}</{side}>'
        for side, value in zip(('xmin', 'ymin', 'xmax', 'ymax'), corners, strict=True)
    )
    return (
        f'<object><name>{name}</name><difficult>{difficult}</difficult>'
        f'<bndbox>{sides}</bndbox></object>'
    )


class Voc:
    """A data set of images of 100 x 50 in a folder, written image by image."""

    def __init__(self, root):
        self.root = root
        for folder in ('Annotations', 'JPEGImages', LISTS):
            (root / folder).mkdir(parents=True)

    def add(self, stem, *boxes, size=(100, 50), image=True, name=None, split='train'):
        width, height = size
        (self.root / 'Annotations' / f'{stem}.xml').write_text(
            f'<annotation><filename>{name or stem}.jpg</filename>'
            f'<size><width>{width}</width><height>{height}</height></size>'
            f'{"".join(boxes)}</annotation>'
        )
        if image:
            picture = np.full((50, 100, 3), 90, np.uint8)
            cv2.imwrite(str(self.root / 'JPEGImages' / f'{stem}.jpg'), picture)
        if split:
            self.list(stem, split)

    def list(self, line, split='train'):
        with (self.root / LISTS / f'{split}.txt').open('a') as file:
            file.write(f'{line}\n')

    def read(self, split='train'):
        return json.loads((self.root / 'coco' / f'{split}.json').read_text())


@pytest.fixture
def voc(tmp_path):
    return Voc(tmp_path / 'voc')


@pytest.fixture
def convert(load_tool, voc):
    """Converts the data set with some options."""
    main = load_tool('dataset_converters/voc_to_coco').main
    return lambda *options: main([str(voc.root), *options])


@pytest.fixture
def refuse(convert, capsys):
    """Returns the line with which a conversion ends."""

    def fail(*options):
        with pytest.raises(SystemExit) as stop:
            convert(*options)
        assert stop.value.code == 1
        (line,) = [x for x in capsys.readouterr().err.splitlines() if x.startswith('error: ')]
        return line

    return fail


def rows(text):
    """The rows of the printed table: the counts by the title."""
    cells = [[c.strip() for c in line.strip('│┃').split('│')] for line in text.splitlines()]
    return {row[0]: row[1:] for row in cells if len(row) > 1}


def test_a_box_is_left_top_width_height(voc, convert):
    voc.add('a', box())
    convert()
    (found,) = voc.read()['annotations']
    assert found == dict(id=1, image_id=1, category_id=1, bbox=[10, 5, 20, 35], area=700, iscrowd=0)
    assert voc.read()['images'] == [dict(id=1, file_name='a.jpg', width=100, height=50)]


def test_an_image_has_one_id_and_a_class_one_number_in_all_splits(voc, convert):
    voc.add('b', box('dog'), split='train')
    voc.add('a', box('cat'), split='val')
    voc.list('a', 'trainval')
    voc.list('b', 'trainval')
    convert()
    ids = {image['file_name']: image['id'] for image in voc.read('trainval')['images']}
    for split in ('train', 'val'):
        (image,) = voc.read(split)['images']
        assert image['id'] == ids[image['file_name']]
        assert [c['name'] for c in voc.read(split)['categories']] == ['cat', 'dog']


def test_boxes_that_cannot_be_used_are_counted_and_named(voc, convert, capsys):
    voc.add('a', box(), box(corners=(7, 7, 7, 7)), box(corners=(-9, 5, 200, 40)))
    voc.add('b', box(), box(corners=(300, 5, 400, 40)), split='val')
    convert()
    table = rows(capsys.readouterr().out)
    assert table['cat'] == ['2', '1']
    assert table['left out: boxes of no area or of less than a pixel'] == ['1', '0']
    assert 'first: a.xml, object 2' in table
    assert table['left out: boxes outside their image'] == ['0', '1']
    assert table['taken otherwise: boxes cut to their image'] == ['1', '0']
    assert [a['bbox'] for a in voc.read()['annotations']] == [[10, 5, 20, 35], [0, 5, 100, 35]]


def test_images_that_cannot_be_used_are_counted(voc, convert, capsys):
    voc.add('a', box())
    voc.add('absent', box(), image=False)
    voc.add('turned', box(), size=(50, 100))
    voc.add('unknown', box(), size=(0, 0))
    voc.add('broken', box())
    (voc.root / 'JPEGImages' / 'broken.jpg').write_bytes(b'\xff\xd8')
    voc.list('no_annotation')
    convert()
    table = rows(capsys.readouterr().out)
    assert table['images'] == ['2']
    for reason in (
        'that are not there',
        'of another size than annotated',
        'that cannot be read',
        'without an annotation',
    ):
        assert table[f'left out: images {reason}'] == ['1']
    assert table['taken otherwise: images without a size in the annotation'] == ['1']


def test_images_of_another_size_are_used_when_asked_for(voc, convert):
    voc.add('a', box(), size=(50, 100))
    convert('--any-size')
    assert (voc.read()['images'][0]['width'], voc.read()['images'][0]['height']) == (100, 50)


def test_an_image_is_found_by_the_name_in_its_annotation(voc, convert):
    voc.add('a', box(), name='other', image=False)
    cv2.imwrite(str(voc.root / 'JPEGImages' / 'other.jpg'), np.zeros((50, 100, 3), np.uint8))
    convert()
    assert voc.read()['images'][0]['file_name'] == 'other.jpg'


def test_names_in_another_case_are_one_class(voc, convert, capsys):
    voc.add('a', box('RBC'), box('RBC'), box('rbc'))
    convert()
    assert [category['name'] for category in voc.read()['categories']] == ['RBC']
    table = rows(capsys.readouterr().out)
    assert table['RBC'] == ['3']
    assert table["taken otherwise: boxes of 'rbc', taken for 'RBC'"] == ['1']


def test_classes_that_are_not_asked_for_are_counted(voc, convert, capsys):
    voc.add('a', box('dog'), box('cat'), box('bird'))
    convert('--classes', 'dog', 'cat')
    assert [category['name'] for category in voc.read()['categories']] == ['dog', 'cat']
    assert rows(capsys.readouterr().out)["left out: boxes of 'bird'"] == ['1']


@pytest.mark.parametrize(
    ('choice', 'crowds'), [('ignore', [0, 1]), ('keep', [0, 0]), ('drop', [0])]
)
def test_difficult_objects_become_what_is_asked_for(voc, convert, choice, crowds):
    voc.add('a', box(), box(difficult=1))
    convert('--difficult', choice)
    assert [found['iscrowd'] for found in voc.read()['annotations']] == crowds


def test_corners_may_be_numbers_of_pixels(voc, convert):
    voc.add('a', box(corners=(1, 1, 100, 50)))
    convert('--one-based')
    assert voc.read()['annotations'][0]['bbox'] == [0, 0, 100, 50]


def test_an_image_that_is_listed_twice_is_there_once(voc, convert, capsys):
    voc.add('a', box())
    voc.list('A.jpg')
    convert()
    assert len(voc.read()['images']) == len(voc.read()['annotations']) == 1
    assert rows(capsys.readouterr().out)['taken otherwise: images listed more than once'] == ['1']


def test_without_lists_all_annotations_are_one_split(voc, convert):
    voc.add('a', box(), split=None)
    shutil.rmtree(voc.root / 'ImageSets')
    convert()
    assert len(voc.read('all')['images']) == 1


def test_images_in_two_splits_are_told(voc, convert, capsys):
    voc.add('a', box())
    voc.list('a', 'test')
    convert()
    assert 'train and test share 1 images' in capsys.readouterr().out


def test_two_annotations_of_one_image_are_refused(voc, refuse):
    voc.add('a', box())
    voc.add('b', box(), name='a', image=False)
    assert 'b.xml: its image a.jpg is that of a.xml, too' in refuse()


def test_a_broken_annotation_is_one_line_and_nothing_is_written(voc, refuse):
    voc.add('a', box())
    (voc.root / 'Annotations' / 'a.xml').write_text('<annotation><object>')
    assert 'a.xml: no whole XML' in refuse()
    assert not (voc.root / 'coco').exists()


def test_a_split_of_which_nothing_is_left_is_refused(voc, refuse):
    voc.add('a', box())
    voc.add('b', box(), image=False, split='val')
    reason = '1 images that are not there (first: b)'
    assert refuse() == f'error: val: expected images, none is left: {reason}'


def test_why_no_image_of_any_split_is_left_is_told(voc, refuse):
    voc.add('a', box(), image=False)
    voc.add('b', box(), size=(50, 100))
    line = refuse()
    assert 'train: expected images, none is left: 1 images that are not there (first: a)' in line
    assert '1 images of another size than annotated (first: b)' in line


def test_why_no_object_is_left_is_told(voc, refuse):
    voc.add('a', box(corners=(7, 7, 7, 7)))
    reason = '1 boxes of no area or of less than a pixel (first: a.xml, object 1)'
    assert refuse() == f'error: train: expected objects, none is left: {reason}'


def test_annotations_without_objects_are_refused(voc, refuse):
    voc.add('a')
    assert 'train: expected objects, none is left: the annotations have none' in refuse()


def test_a_file_that_exists_is_replaced_only_when_asked_for(voc, convert, refuse):
    voc.add('a', box())
    convert()
    voc.add('b', box())
    assert 'train.json: exists; --overwrite replaces it' in refuse()
    convert('--overwrite')
    assert len(voc.read()['images']) == 2


def test_a_folder_of_lists_without_the_usual_names_is_refused(voc, refuse):
    voc.add('a', box(), split='mine')
    assert 'give --splits the names' in refuse()


def test_the_data_check_and_the_dataset_agree_with_the_table(voc, convert):
    voc.add('a', box('dog'), box('cat'), box('cat', difficult=1), box(corners=(7, 7, 7, 7)))
    convert()
    dataset = dict(
        type='CocoByName',
        metainfo=dict(classes=('cat', 'dog')),
        data_root=str(voc.root),
        ann_file='coco/train.json',
        data_prefix=dict(img='JPEGImages/'),
        pipeline=[],
    )
    cfg = Config(dict(default_scope='mmdet', model={}, train_dataloader=dict(dataset=dataset)))
    (part,) = check_datasets(cfg, images=True)['train_dataloader']
    assert part.contents.objects == {'cat': 1, 'dog': 1}
    assert not part.contents.left_out
    with DefaultScope.overwrite_default_scope('mmdet'):
        instances = DATASETS.build(dataset).get_data_info(0)['instances']
    assert [(i['bbox_label'], i['ignore_flag']) for i in instances] == [(1, 0), (0, 0), (0, 1)]


@pytest.mark.skipif(not BCCD.exists(), reason='BCCD is not here')
def test_two_boxes_of_bccd_have_no_area(tmp_path, load_tool, capsys):
    shutil.unpack_archive(BCCD, tmp_path)
    load_tool('dataset_converters/voc_to_coco').main([str(tmp_path / 'BCCD')])
    table = rows(capsys.readouterr().out)
    assert table['images'] == ['205', '87', '292', '72']
    assert table['left out: boxes of no area or of less than a pixel'] == ['1', '1', '2', '0']
    assert [table[name] for name in ('Platelets', 'RBC', 'WBC')] == [
        ['209', '83', '292', '69'],
        ['2,381', '967', '3,348', '805'],
        ['214', '87', '301', '71'],
    ]
