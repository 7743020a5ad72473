"""Reads an annotation file in Pascal VOC's format: one image and its boxes, as XML."""

import math
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element, ParseError, TreeBuilder
from xml.parsers import expat

from ..utils.errors import InputError

CORNERS = ('xmin', 'ymin', 'xmax', 'ymax')
Corners = tuple[float, float, float, float]  # left, top, right, bottom in pixels
MEND = 'mend the file or take it out of the data set'
# where these may be
PLACES = {'object': ('object',), 'bndbox': ('object/bndbox', 'object/part/bndbox')}
FLAGS = {
    **dict.fromkeys(('1', '1.0', 'true', 'yes'), True),
    **dict.fromkeys(('', '0', '0.0', 'false', 'no'), False),
}


class VocObject(NamedTuple):
    """An object of an image.

    Attributes:
        name: Its class.
        corners: Left, top, right and bottom in pixels.
        difficult: Whether the file marks it as hard to recognise.
        notes: What was taken otherwise than it is written.
    """

    name: str
    corners: Corners
    difficult: bool
    notes: tuple[str, ...] = ()


class VocAnnotation(NamedTuple):
    """What an annotation file says.

    Attributes:
        file_name: The name of the image without its folders; None where there is none.
        size: Width and height in pixels; None where the file has none or has zeros.
        objects: The objects in their order.
    """

    file_name: str | None
    size: tuple[float, float] | None
    objects: list[VocObject]


def read_voc(path: Path) -> VocAnnotation:
    """Returns what an annotation file says.

    Raises:
        InputError: If it is not XML in VOC's format, or has a document type, by which XML grows
            without bounds or reads other files; names the file and what was expected.
    """
    if not path.is_file():  # a pipe would be waited for
        raise InputError(f'{path}: expected a file, got a folder, pipe or broken link; {MEND}')
    try:
        root = _parse(path.read_bytes())
        if root.tag != 'annotation':
            raise ValueError(f'expected <annotation> as its root, got <{root.tag}>')
        _check_places(root)
        return VocAnnotation(
            _file_name(root),
            _size(root),
            [_object(node, number) for number, node in enumerate(root.findall('object'), start=1)],
        )
    # expat raises LookupError for an encoding that it does not know
    except (expat.ExpatError, ParseError, LookupError, ValueError) as error:
        raise InputError(f'{path}: {error}; {MEND}') from error


def _parse(data: bytes) -> Element:
    """Returns the root of a document; entities cannot be defined in one that has no type."""
    builder = TreeBuilder()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse_type
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise ValueError(f'no whole XML: {error}') from error
    return builder.close()


def _refuse_type(name: str, *_: object) -> None:
    raise ValueError(f'expected plain XML, got <!DOCTYPE {name}>, which may define entities')


def _check_places(root: Element) -> None:
    """Refuses objects and boxes that no one looks for, by which an image would seem empty."""
    for tag, places in PLACES.items():
        lost = len([*root.iter(tag)]) - sum(len(root.findall(place)) for place in places)
        if lost:
            expected = ' or '.join(f'annotation/{place}' for place in places)
            raise ValueError(f'expected each <{tag}> as {expected}, got {lost} elsewhere')


def _text(node: Element, path: str, where: str = '') -> str:
    """Returns what an element says, as it is written; nothing if there is no such element.

    Raises:
        ValueError: If there are several, of which all but one would be lost.
    """
    found = node.findall(path)
    if len(found) > 1:
        raise ValueError(f'{where}expected one <{path}>, got {len(found)}')
    return (found[0].text or '') if found else ''


def _file_name(root: Element) -> str | None:
    # folders of the machine on which the boxes were drawn, of either kind
    return _text(root, 'filename').strip().replace('\\', '/').rpartition('/')[2] or None


def _size(root: Element) -> tuple[float, float] | None:
    texts = {side: _text(root, f'size/{side}').strip() for side in ('width', 'height')}
    if '' in texts.values():
        return None
    width, height = (_number(text, f'size: {side}') for side, text in texts.items())
    return (width, height) if width > 0 and height > 0 else None


def _object(node: Element, number: int) -> VocObject:
    written = _text(node, 'name', f'object {number}: ')
    name = ' '.join(written.split())
    if not name:
        raise ValueError(f'object {number}: expected a <name>, got none')
    where = f'object {number} ({name}): '
    boxes = node.findall('bndbox')
    if len(boxes) != 1:
        raise ValueError(f'{where}expected one <bndbox>, got {len(boxes)}')
    corners = [
        _number(_text(boxes[0], corner, where).strip(), f'{where}{corner}') for corner in CORNERS
    ]
    difficult = _text(node, 'difficult', where).strip()
    notes = []
    if name != written:
        notes.append(f'boxes of {written!r}, taken for {name!r}')
    if difficult.lower() not in FLAGS:
        notes.append(f'boxes with {difficult!r} as <difficult>, taken for not difficult')
    if node.findall('part/bndbox'):
        notes.append('boxes with boxes of parts, which are left out')
    left, top, right, bottom = corners
    return VocObject(
        name, (left, top, right, bottom), FLAGS.get(difficult.lower(), False), tuple(notes)
    )


def _number(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or '_' in text:  # Python reads 1_0 as 10
        raise ValueError(f'{where}: expected a number, got {text!r}')
    return value
