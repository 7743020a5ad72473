"""Reads an annotation file in COCO format and refuses one that would be misread."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from pathlib import Path

from mmengine import fileio

from ..utils.errors import InputError
from ..utils.memory import garbage_collection_paused
from .by_name import check_classes, require_names
from .contents import Contents


def read_coco(path: str, backend_args: Mapping | None = None) -> dict:
    """Returns what a file in COCO format holds, checked, with its optional fields filled in.

    An annotation without `area` gets that of its box, one without `iscrowd` is no crowd. The
    numbers of both are under 'filled'.

    Args:
        path: The file, of any backend of MMEngine.
        backend_args: See `mmengine.fileio.get`.

    Raises:
        InputError: Names the file, the first image or annotation at fault, the field, and what
            was expected there.
    """
    try:
        with garbage_collection_paused():
            content = json.loads(fileio.get(path, backend_args=backend_args))
    except (FileNotFoundError, IsADirectoryError) as error:
        raise InputError(f'{path}: no such annotation file') from error
    except ValueError as error:
        raise InputError(f'{path}: expected JSON in COCO format: {error}') from error
    if not isinstance(content, dict):
        raise InputError(f'{path}: expected a JSON object in COCO format, got a list')
    content.setdefault('annotations', [])
    for key in ('images', 'annotations', 'categories'):
        if not isinstance(content.get(key), list):
            raise InputError(f'{path}: expected a list `{key}`, got {content.get(key)!r}')
        if not all(isinstance(entry, dict) for entry in content[key]):
            raise InputError(f'{path}: expected JSON objects in `{key}`')
    for key in ('images', 'categories'):
        if not content[key]:
            raise InputError(f'{path}: the list `{key}` is empty')
    _check_categories(path, content['categories'])
    _refuse(path, 'image', _image_faults(content['images']))
    known = {category['id'] for category in content['categories']}
    _refuse(path, 'annotation', _annotation_faults(content['annotations'], known))
    content['filled'] = _fill_in(content['annotations'])
    return content


def category_ids(path: str, categories: Sequence[Mapping], classes: Sequence[str]) -> list[int]:
    """Returns the id of the category of each class, in the order of the classes.

    Raises:
        InputError: If the file lacks a class, or `classes` is no sequence of names.
    """
    by_name = {category['name']: category['id'] for category in categories}
    classes = check_classes(path, classes)
    require_names(path, 'category', classes, by_name)
    return [by_name[name] for name in classes]


def coco_contents(
    path: str,
    content: Mapping,
    classes: Sequence[str],
    folder: str,
    min_size: int = 0,
    needs_objects: bool = False,
) -> Contents:
    """Counts what a dataset of mmdet makes of a file in COCO format.

    Args:
        path: The file, for messages.
        content: What `read_coco` returned.
        classes: Names of the classes that are wanted.
        folder: Where the images are.
        min_size: Images with a shorter side, in pixels, are left out.
        needs_objects: Whether images without an object of the classes are left out.

    Raises:
        InputError: If the file lacks a class.
    """
    label_of = {
        number: label
        for label, number in enumerate(category_ids(path, content['categories'], classes))
    }
    name_of = {category['id']: category['name'] for category in content['categories']}
    order = tuple(name for name in name_of.values() if name in classes)
    ids = frozenset(image['id'] for image in content['images'])
    contents = Contents(path, tuple(classes), order, ids=ids)
    sizes = {image['id']: (image['width'], image['height']) for image in content['images']}
    labels: defaultdict[object, list[int]] = defaultdict(list)
    crowded = set()
    for annotation in content['annotations']:
        image, category = annotation['image_id'], annotation['category_id']
        if category not in label_of:
            contents.left_out[f'boxes of {name_of[category]!r}, which is not in classes'] += 1
        elif image not in sizes:
            contents.left_out['boxes of images that are not in the file'] += 1
        elif reason := _unused(annotation, *sizes[image]):
            contents.left_out[reason] += 1
        elif annotation['iscrowd']:
            contents.notes['crowd regions, which are ignored'] += 1
            crowded.add(image)
        else:
            labels[image].append(label_of[category])
    used: list[int] = []
    for image in content['images']:
        number, size = image['id'], (image['width'], image['height'])
        if min(size) < min_size:
            contents.left_out[f'images with a side of less than {min_size} pixels'] += 1
        elif needs_objects and number not in labels and number not in crowded:
            contents.left_out['images without an object'] += 1
        else:
            contents.images.append((Path(folder, image['file_name']), size))
            used += labels.get(number, ())
    contents.objects.update({classes[label]: count for label, count in Counter(used).items()})
    contents.notes += Counter(content['filled'])
    return contents


def _unused(annotation: Mapping, image_width: float, image_height: float) -> str | None:
    """Says why mmdet leaves a box out, None if it does not."""
    x, y, width, height = annotation['bbox']
    if annotation.get('ignore'):
        return 'boxes marked `ignore`'
    if annotation['area'] <= 0 or width < 1 or height < 1:
        return 'boxes of no area or of less than a pixel'
    inside_x = min(x + width, image_width) - max(x, 0)
    inside_y = min(y + height, image_height) - max(y, 0)
    return None if inside_x > 0 and inside_y > 0 else 'boxes outside their image'


def _check_categories(path: str, categories: Sequence[Mapping]) -> None:
    for category in categories:
        if not _is_id(category.get('id')) or not isinstance(category.get('name'), str):
            raise InputError(f'{path}: categories: expected `id` and `name`, got {dict(category)}')
    for key in ('id', 'name'):
        values = [category[key] for category in categories]
        if repeated := [value for value in values if values.count(value) > 1]:
            raise InputError(f'{path}: categories: {key} {repeated[0]!r} more than once')


def _image_faults(images: Sequence[Mapping]) -> Iterator[str]:
    seen = set()
    for image in images:
        number = image.get('id')
        if not _is_id(number):
            yield f'{image.get("file_name")!r}: id: expected a number or a text, got {number!r}'
            continue
        if number in seen:
            yield f'{number!r}: its id stands more than once'
        if not isinstance(image.get('file_name'), str):
            yield f'{number!r}: file_name: expected a text, got {image.get("file_name")!r}'
        for key in ('width', 'height'):
            if not _is_number(image.get(key)) or image[key] <= 0:
                yield f'{number!r}: {key}: expected a positive number, got {image.get(key)!r}'
        seen.add(number)


def _annotation_faults(annotations: Sequence[Mapping], categories: set) -> Iterator[str]:
    seen = set()
    for annotation in annotations:
        number, box = annotation.get('id'), annotation.get('bbox')
        image, category = annotation.get('image_id'), annotation.get('category_id')
        if not _is_id(number):
            yield f'of image {image!r}: id: expected a number or a text, got {number!r}'
            continue
        if number in seen:
            yield f'{number!r}: its id stands more than once'
        seen.add(number)
        if not _is_id(image):
            yield f'{number!r}: image_id: expected a number or a text, got {image!r}'
        if not _is_id(category) or category not in categories:
            yield f'{number!r}: category_id: {category!r} is not in `categories`'
        if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)):
            yield f'{number!r}: bbox: expected four finite numbers, got {box!r}'
        if 'area' in annotation and not _is_number(annotation['area']):
            yield f'{number!r}: area: expected a finite number, got {annotation["area"]!r}'
        if annotation.get('iscrowd', 0) not in (0, 1):
            yield f'{number!r}: iscrowd: expected 0 or 1, got {annotation["iscrowd"]!r}'


def _refuse(path: str, kind: str, faults: Iterator[str]) -> None:
    first = next(faults, None)
    if first is not None:
        more = sum(1 for _ in faults)
        rest = f' (and {more} more such faults)' if more else ''
        raise InputError(f'{path}: {kind} {first}{rest}; mend the file')


def _fill_in(annotations: Sequence[dict]) -> dict[str, int]:
    filled: Counter = Counter()
    for annotation in annotations:
        if 'area' not in annotation:
            annotation['area'] = annotation['bbox'][2] * annotation['bbox'][3]
            filled['boxes without `area`, which is computed'] += 1
        if 'iscrowd' not in annotation:
            annotation['iscrowd'] = 0
            filled['boxes without `iscrowd`, which is taken for 0'] += 1
    return dict(filled)


def _is_id(value: object) -> bool:
    return isinstance(value, (int, str))


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value)
