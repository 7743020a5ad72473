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


class VocObject(NamedTuple):
    """An object of an image.

    Attributes:
        name: Its class.
        corners: Left, top, right and bottom in pixels.
        difficult: Whether the file marks it as hard to recognise.
    """

    name: str
    corners: Corners
    difficult: bool


class VocAnnotation(NamedTuple):
    """What an annotation file says.

    Attributes:
        file_name: The name of the image without its folders; None where there is none.
        size: Width and height in pixels; None where the file has none or has zeros.
        objects: The objects in their order.
    """

    file_name: str | None
    size: tuple[int, int] | None
    objects: list[VocObject]


def read_voc(path: Path) -> VocAnnotation:
    """Returns what an annotation file says.

    Raises:
        InputError: If it is not XML in VOC's format, or has a document type, by which XML grows
            without bounds or reads other files; names the file and what was expected.
    """
    try:
        root = _parse(path.read_bytes())
        if root.tag != 'annotation':
            raise ValueError(f'expected <annotation> as its root, got <{root.tag}>')
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


def _text(node: Element, path: str) -> str:
    return (node.findtext(path) or '').strip()


def _file_name(root: Element) -> str | None:
    # folders of the machine on which the boxes were drawn, of either kind
    return _text(root, 'filename').replace('\\', '/').rpartition('/')[2] or None


def _size(root: Element) -> tuple[int, int] | None:
    texts = {side: _text(root, f'size/{side}') for side in ('width', 'height')}
    if '' in texts.values():
        return None
    width, height = (_number(text, f'size: {side}') for side, text in texts.items())
    return (int(width), int(height)) if width > 0 and height > 0 else None


def _object(node: Element, number: int) -> VocObject:
    name = ' '.join(_text(node, 'name').split())
    if not name:
        raise ValueError(f'object {number}: expected a <name>, got none')
    corners = [
        _number(_text(node, f'bndbox/{corner}'), f'object {number} ({name}): {corner}')
        for corner in CORNERS
    ]
    difficult = _text(node, 'difficult').lower() in ('1', 'true', 'yes')
    left, top, right, bottom = corners
    return VocObject(name, (left, top, right, bottom), difficult)


def _number(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f'{where}: expected a number, got {text!r}')
    return value
