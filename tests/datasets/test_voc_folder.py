"""Files of a data set in Pascal VOC's layout, and boxes in their images."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmdefocus.datasets.voc_folder import (
    ORIENTATION,
    FilesByStem,
    Rules,
    VocFolder,
    fit,
    image_size,
)
from mmdefocus.utils.errors import InputError

SIZE = (100, 50)


@pytest.mark.parametrize(
    ('corners', 'expected'),
    [
        ((10, 5, 30, 40), ((10, 5, 30, 40), '')),
        ((0, 0, 100, 50), ((0, 0, 100, 50), '')),
        ((-4, 5, 30, 60), ((0, 5, 30, 50), 'cut to their image')),
        ((10, 5, 10, 5), (None, 'of no area or of less than a pixel')),
        ((10, 5, 10.5, 40), (None, 'of no area or of less than a pixel')),
        ((30, 5, 10, 40), (None, 'with their corners the wrong way round')),
        ((110, 5, 130, 40), (None, 'outside their image')),
        ((-30, 5, 0.5, 40), (None, 'outside their image')),
    ],
)
def test_boxes_are_cut_or_left_out_with_a_reason(corners, expected):
    assert fit(corners, SIZE, one_based=False) == expected


def test_numbers_of_pixels_from_1_on_are_inside_their_box():
    assert fit((1, 1, 100, 50), SIZE, one_based=True) == ((0, 0, 100, 50), '')
    assert fit((7, 7, 7, 7), SIZE, one_based=True) == ((6, 6, 7, 7), '')


def test_a_stem_in_another_case_is_found_if_there_is_no_other():
    files = FilesByStem([Path('A.JPG'), Path('b.jpg'), Path('B.jpg')])
    assert files.find('a') == Path('A.JPG')
    assert files.find('b') == Path('b.jpg')
    assert files.find('c') is None


def test_of_several_files_of_a_stem_the_name_decides():
    files = FilesByStem([Path('x/a.jpg'), Path('x/a.png')])
    assert files.find('a', 'a.png') == Path('x/a.png')
    with pytest.raises(InputError, match=r"x: expected one file for 'a', got a\.jpg and a\.png"):
        files.find('a')


@pytest.mark.parametrize(('orientation', 'expected'), [(1, (6, 4)), (3, (6, 4)), (6, (4, 6))])
def test_the_size_of_an_image_is_that_of_the_upright_one(tmp_path, orientation, expected):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(tmp_path / 'a.jpg', exif=exif)
    assert image_size(tmp_path / 'a.jpg') == expected


def test_a_file_that_is_no_image_has_no_size(tmp_path):
    (tmp_path / 'a.jpg').write_bytes(b'\xff\xd8 cut')
    assert image_size(tmp_path / 'a.jpg') is None


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(InputError, match='Annotations: no such folder'):
        VocFolder(tmp_path / 'Annotations', tmp_path, Rules())


def test_a_folder_without_annotations_is_named(tmp_path):
    with pytest.raises(InputError, match=r'expected annotations as \*\.xml in this folder itself'):
        VocFolder(tmp_path, tmp_path, Rules())


def test_a_folder_whose_images_are_in_folders_of_their_own_is_named(tmp_path):
    (tmp_path / 'a.xml').touch()
    (tmp_path / 'images' / 'day').mkdir(parents=True)
    Image.new('L', SIZE).save(tmp_path / 'images' / 'day' / 'a.png')
    with pytest.raises(
        InputError, match=r'images: expected images in this folder itself.*--images'
    ):
        VocFolder(tmp_path, tmp_path / 'images', Rules())


@pytest.fixture
def add(tmp_path):
    """Adds an image of 100 x 50 and its annotation to a folder."""

    def add_image(stem, content):
        Image.new('L', SIZE).save(tmp_path / f'{stem}.png')
        (tmp_path / f'{stem}.xml').write_text(f'<annotation>{content}</annotation>')

    return add_image


def test_an_image_has_the_name_of_its_annotation_and_another_in_the_file_is_told(tmp_path, add):
    add('a', '<filename>b.jpg</filename>')
    add('b', '<filename>b.jpg</filename>')
    add('c', '<filename>not_there.jpg</filename>')
    folder = VocFolder(tmp_path, tmp_path, Rules())
    outcomes = [folder.read(stem) for stem in 'abc']
    assert [outcome.image.file_name for outcome in outcomes] == ['a.png', 'b.png', 'c.png']
    told = 'images whose <filename> is another image'
    assert [outcome.notes.get(told) for outcome in outcomes] == [['a'], None, None]


def test_a_name_without_suffix_that_has_a_dot_is_that_of_its_image(tmp_path, add):
    add('a', '')
    add('a.1', '<filename>a.1</filename>')
    notes = VocFolder(tmp_path, tmp_path, Rules()).read('a.1').notes
    assert 'images whose <filename> is another image' not in notes


def test_what_was_taken_otherwise_in_a_file_is_told_by_object(tmp_path, add):
    box = '<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>{}</xmax><ymax>40</ymax></bndbox>'
    content = '<object><name>cat</name><difficult>2</difficult>{}</object>'
    add('a', ''.join(content.format(box.format(right)) for right in (1, 30)))
    notes = VocFolder(tmp_path, tmp_path, Rules()).read('a').notes
    told = "boxes with '2' as <difficult>, taken for not difficult"
    assert notes[told] == ['a.xml, object 2']


def test_an_image_whose_name_is_no_text_is_left_out(tmp_path, add):
    stem = os.fsdecode(b'caf\xe9')
    add(stem, '')
    outcome = VocFolder(tmp_path, tmp_path, Rules()).read(stem)
    assert outcome.image is None
    reason = 'images with a name that is not in UTF-8, which JSON cannot hold'
    assert outcome.left_out == {reason: [stem]}
