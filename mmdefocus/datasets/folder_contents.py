"""Counts what mmpretrain makes of a folder of class folders, or of a list of files with labels."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ..utils.errors import InputError
from .by_name import check_classes, closest, listed
from .contents import Contents


def folder_contents(
    folder: str, suffixes: Sequence[str], classes: Sequence[str] | None = None
) -> Contents:
    """Counts the images of each class folder.

    Args:
        folder: Where the class folders are.
        suffixes: What names of images end in, in lower case.
        classes: Names of the folders by label; None if the dataset numbers those that are there.

    Raises:
        InputError: If there is no class folder, or one that is not in `classes`.
    """
    folders = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
    if not folders:
        raise InputError(f'{folder}: no folder in it; expected one folder a class')
    contents = Contents(folder, tuple(classes or folders), tuple(folders))
    class_of_folder(folder, folders, contents.labels)
    for name in folders:
        for parent, _, files in os.walk(Path(folder, name), followlinks=True):
            for file in sorted(files):
                if file.lower().endswith(tuple(suffixes)):
                    contents.images.append((os.path.join(parent, file), None))
                    contents.objects[name] += 1
                elif not file.startswith('.'):
                    suffix = Path(file).suffix or 'no suffix'
                    contents.left_out[f'files of {suffix}, which the dataset does not read'] += 1
    return contents


def list_contents(path: str, folder: str, classes: Sequence[str]) -> Contents:
    """Counts the images of a text file with a line 'image label' for each.

    Args:
        path: The text file.
        folder: Where the images are.
        classes: Names of the labels 0, 1, …

    Raises:
        InputError: If a line is something else, or a label has no class.
    """
    contents = Contents(path, tuple(classes), tuple(classes))
    numbers: Counter[int] = Counter()
    for number, line in enumerate(Path(path).read_text(encoding='utf-8').splitlines(), start=1):
        name, _, label = line.strip().rpartition(' ')
        if not name or not label.isdecimal():
            raise InputError(f'{path}: line {number}: expected an image and a label, got {line!r}')
        numbers[int(label)] += 1
        contents.images.append((os.path.join(folder, name), None))
    if numbers and max(numbers) >= len(classes):
        raise InputError(
            f'{path}: label {max(numbers)}, but there are {len(classes)} classes, numbered from 0'
        )
    contents.objects.update({classes[label]: count for label, count in numbers.items()})
    return contents


def class_of_folder(path: str, folders: Sequence[str], classes: Sequence[str]) -> dict[str, int]:
    """Returns the label of each folder, the number of its name in `classes`.

    Raises:
        InputError: If a folder is not in `classes`.
    """
    classes = check_classes(path, classes)
    if unknown := [name for name in folders if name not in classes]:
        raise InputError(
            f'{path}: folder {listed(unknown)} is not in classes{closest(unknown, classes)}; '
            f'classes are {listed(classes)}; rename the folder or name it there'
        )
    return {name: classes.index(name) for name in folders}
