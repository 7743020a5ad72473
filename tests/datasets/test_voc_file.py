"""Annotations in Pascal VOC's format, whole and broken."""

import os

import pytest

from mmdefocus.datasets.voc_file import VocObject, read_voc
from mmdefocus.utils.errors import InputError

BOX = '<bndbox><xmin>1</xmin><ymin>2.5</ymin><xmax>30</xmax><ymax>40</ymax></bndbox>'
CAT = f'<object><name>cat</name>{BOX}</object>'
BILLION_LAUGHS = (
    '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'
    '<annotation><filename>&b;</filename></annotation>'
)
OUTSIDE = (
    '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    '<annotation><filename>&x;</filename></annotation>'
)


@pytest.fixture
def read(tmp_path):
    """Reads an annotation from its text or bytes."""

    def read_content(content):
        path = tmp_path / 'a.xml'
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_voc(path)

    return read_content


def annotation(content):
    return f'<annotation>{content}</annotation>'


def test_what_a_file_says(read):
    size = '<size><width>640</width><height>480</height><depth>3</depth></size>'
    found = read(annotation(f'<filename>a.jpg</filename>{size}{CAT}'))
    assert found == ('a.jpg', (640, 480), [VocObject('cat', (1.0, 2.5, 30.0, 40.0), False)])


@pytest.mark.parametrize('path', [r'C:\pictures\a.jpg', '/home/pi/a.jpg', '../../a.jpg', ' a.jpg '])
def test_a_file_name_loses_its_folders(read, path):
    assert read(annotation(f'<filename>{path}</filename>')).file_name == 'a.jpg'


@pytest.mark.parametrize('size', ['', '<size/>', '<size><width>0</width><height>0</height></size>'])
def test_a_size_that_is_not_there_is_none(read, size):
    assert read(annotation(size)).size is None


@pytest.mark.parametrize(
    ('text', 'expected'), [('1', True), ('1.0', True), ('True', True), ('0', False)]
)
def test_difficult_objects_are_marked(read, text, expected):
    marked = f'<object><name>cat</name><difficult>{text}</difficult>{BOX}</object>'
    assert read(annotation(marked)).objects[0].difficult is expected


def test_what_is_neither_yes_nor_no_is_not_difficult_and_told(read):
    marked = f'<object><name>cat</name><difficult>Unspecified</difficult>{BOX}</object>'
    (found,) = read(annotation(marked)).objects
    assert not found.difficult
    assert found.notes == ("boxes with 'Unspecified' as <difficult>, taken for not difficult",)


def test_a_name_loses_the_space_around_it_and_it_is_told(read):
    (found,) = read(annotation(CAT.replace('cat', '\n  white \t cat '))).objects
    assert found.name == 'white cat'
    assert found.notes == (r"boxes of '\n  white \t cat ', taken for 'white cat'",)


def test_a_size_that_is_not_whole_stays_as_it_is(read):
    size = '<size><width>100.7</width><height>50.0</height></size>'
    assert read(annotation(size)).size == (100.7, 50)


def test_parts_of_an_object_are_not_taken_for_it(read):
    part = f'<part><name>head</name>{BOX.replace("1<", "9<")}</part>'
    (found,) = read(annotation(f'<object>{part}<name>cat</name>{BOX}</object>')).objects
    assert (found.name, found.corners[0]) == ('cat', 1.0)
    assert found.notes == ('boxes with boxes of parts, which are left out',)


def test_a_file_that_is_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / 'a.xml')
    with pytest.raises(InputError, match=r'a\.xml: expected a file, got a folder, pipe'):
        read_voc(tmp_path / 'a.xml')


@pytest.mark.parametrize('encoding', ['utf-8-sig', 'utf-16', 'latin-1'])
def test_usual_encodings_are_read(read, encoding):
    head = f'<?xml version="1.0" encoding="{encoding.removesuffix("-sig")}"?>'
    assert read((head + annotation(CAT.replace('cat', 'Käse'))).encode(encoding)).objects[
        0
    ].name == ('Käse')


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('', 'no whole XML: no element found'),
        ('<annotation><object>', 'no whole XML: no element found'),
        ('<annotation><a></b></annotation>', 'no whole XML: mismatched tag'),
        ('{"images": []}', 'no whole XML: not well-formed'),
        (b'\xff\xd8\xff\xe0', 'no whole XML'),
        ('<?xml version="1.0" encoding="klingon"?><annotation/>', 'unknown encoding'),
        ('<html/>', 'expected <annotation> as its root, got <html>'),
        (annotation(f'<object>{BOX}</object>'), 'object 1: expected a <name>, got none'),
        (
            annotation(CAT + '<object><name>dog</name></object>'),
            r'object 2 \(dog\): expected one <bndbox>, got 0',
        ),
        (
            annotation(f'<object><name>cat</name>{BOX}{BOX}</object>'),
            r'object 1 \(cat\): expected one <bndbox>, got 2',
        ),
        (
            annotation(CAT.replace('<xmin>', '<xmin>0</xmin><xmin>')),
            r'object 1 \(cat\): expected one <xmin>, got 2',
        ),
        (
            annotation(CAT.replace('</name>', '</name><name>dog</name>')),
            'object 1: expected one <name>, got 2',
        ),
        (
            annotation('<filename>a.jpg</filename><filename>b.jpg</filename>'),
            'expected one <filename>, got 2',
        ),
        (
            annotation(f'{CAT}<objects>{CAT}</objects>'),
            'expected each <object> as annotation/object, got 1 elsewhere',
        ),
        (
            annotation(f'<Object><name>cat</name>{BOX}</Object>'),
            'expected each <bndbox> as annotation/object/bndbox or .*, got 1 elsewhere',
        ),
        (annotation(CAT.replace('30', '3_0')), r"\(cat\): xmax: expected a number, got '3_0'"),
        (annotation(CAT.replace('30', 'nan')), r"\(cat\): xmax: expected a number, got 'nan'"),
        (annotation(CAT.replace('30', '3,5')), r"\(cat\): xmax: expected a number, got '3,5'"),
        (
            annotation('<size><width>x</width><height>1</height></size>'),
            "size: width: expected a number, got 'x'",
        ),
        (BILLION_LAUGHS, 'got <!DOCTYPE a>, which may define entities'),
        (OUTSIDE, 'got <!DOCTYPE a>, which may define entities'),
        (annotation('&undefined;'), 'no whole XML: undefined entity'),
    ],
)
def test_what_is_no_annotation_is_one_line_with_its_file(read, content, message):
    with pytest.raises(InputError, match=message) as error:
        read(content)
    assert str(error.value).startswith('/') and 'a.xml: ' in str(error.value)
    assert '\n' not in str(error.value)
