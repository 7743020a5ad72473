"""The splits of a data set in Pascal VOC's layout, and each as the content of a COCO file."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Literal

from ..utils.errors import InputError
from .by_name import check_classes, require_names
from .voc_file import Corners, VocObject
from .voc_folder import FilesByStem, Outcome

Difficult = Literal['ignore', 'keep', 'drop']
FLAGS = ('-1', '0', '1')  # in the lists of a single class: whether an image shows it


def read_split(path: Path, annotations: FilesByStem) -> list[str]:
    """Returns the names in the list of a split, one a line, in their order.

    Args:
        path: The list. A flag behind a name, as in the lists of a single class, is passed over, and
            so is the suffix of an image.
        annotations: The files that the names are names of.

    Raises:
        InputError: If there is no such file, or it is no text or empty.
    """
    if not path.is_file():  # a pipe would be waited for
        raise InputError(f'{path}: no such list of a split; expected a file')
    try:
        lines = path.read_text(encoding='utf-8-sig').splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f'{path}: expected a text file with a name on each line') from error
    names = [_name(line.strip(), annotations) for line in lines if line.strip()]
    if not names:
        raise InputError(f'{path}: empty; expected the name of an image on each line')
    return names


def _name(line: str, annotations: FilesByStem) -> str:
    """Returns the name on a line; a name may have spaces and dots itself."""
    words = line.rsplit(maxsplit=1)
    name = words[0] if words[-1] in FLAGS else line
    for candidate in (line, name, Path(name).stem):
        if path := annotations.find(candidate):
            return path.stem
    return name


def check_usable(splits: Mapping[str, Sequence[str]], outcomes: Mapping[str, Outcome]) -> None:
    """Refuses a split without an image, and splits without any object.

    Args:
        splits: The names of the images of each split.
        outcomes: What became of each image, by the name.

    Raises:
        InputError: Says how many were left out, why, and which is the first.
    """
    for split, stems in splits.items():
        found = [outcomes[stem] for stem in dict.fromkeys(stems)]
        if not any(outcome.image for outcome in found):
            raise InputError(f'{split}: expected images, none is left: {_reasons(found)}')
    if not any(outcome.objects() for outcome in outcomes.values()):
        reasons = _reasons(outcomes.values()) or 'the annotations have none'
        raise InputError(f'{", ".join(splits)}: expected objects, none is left: {reasons}')


def _reasons(outcomes: Iterable[Outcome]) -> str:
    left_out: dict[str, list[str]] = defaultdict(list)
    for outcome in outcomes:
        for reason, places in outcome.left_out.items():
            left_out[reason] += places
    return '; '.join(f'{len(at)} {reason} (first: {at[0]})' for reason, at in left_out.items())


class ClassNames:
    """The classes of a data set, whatever the case in which a file writes them.

    Args:
        found: How often the annotations have each name.
        wanted: The classes to keep, as they are to be written; by default all, in the order of the
            alphabet, each as it is written most often.

    Raises:
        InputError: If there is none for a class that is wanted.
    """

    def __init__(self, found: Mapping[str, int], wanted: Sequence[str] | None = None) -> None:
        if wanted is None:
            rarest_first = sorted(found, key=lambda name: found[name])
            wanted = sorted({name.casefold(): name for name in rarest_first}.values())
        self.names = check_classes('--classes', wanted)
        self._by_fold = {name.casefold(): name for name in self.names}
        folded = {name.casefold() for name in found}
        absent = [name for name in self.names if name.casefold() not in folded]
        require_names('--classes', 'class', absent, sorted(found))

    def find(self, name: str) -> str | None:
        """Returns the class of a name; None if it is not wanted."""
        return name if name in self.names else self._by_fold.get(name.casefold())


@dataclass
class Split:
    """A split as the content of a COCO file, and what it took to make it.

    Attributes:
        content: `images`, `annotations` and `categories`.
        objects: How often each class is there.
        left_out: What is left out, by the reason: file and object of each.
        notes: What was taken otherwise than it is written, in the same way.
    """

    content: dict[str, list[dict]]
    objects: Counter = field(default_factory=Counter)
    left_out: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    notes: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))


def make_split(
    stems: Sequence[str],
    outcomes: Mapping[str, Outcome],
    ids: Mapping[str, int],
    classes: ClassNames,
    difficult: Difficult,
) -> Split:
    """Returns a split as the content of a COCO file.

    Args:
        stems: The names of its images. One that is there twice becomes one image.
        outcomes: What became of each image, by the name.
        ids: The id of each image, the same in every split.
        classes: The categories, which have the ids 1, 2, … in this order.
        difficult: Whether difficult objects are crowds, by which a detector neither wins nor
            loses, as in VOC's own evaluation ('ignore'), objects as others ('keep'), or left out
            ('drop').
    """
    numbers = {name: number for number, name in enumerate(classes.names, start=1)}
    categories = [dict(id=number, name=name) for name, number in numbers.items()]
    split = Split(dict(images=[], annotations=[], categories=categories))
    for stem, times in Counter(stems).items():
        if times > 1:
            split.notes['images listed more than once'].append(stem)
        _add_image(split, stem, outcomes[stem], ids[stem])
        for found in outcomes[stem].objects():
            name = _class_of(split, stem, found, classes, difficult)
            if name:
                split.objects[name] += 1
                crowd = found.difficult and difficult == 'ignore'
                _add_box(split, found.corners, ids[stem], numbers[name], crowd)
    return split


def shared(splits: Mapping[str, Sequence[str]]) -> dict[tuple[str, str], int]:
    """Returns how many images two splits share that should not share any.

    Args:
        splits: The names of the images of each split; `trainval` has those of `train` and `val`.
    """
    counts = {}
    for pair in combinations(splits, 2):
        if not ('trainval' in pair and {'train', 'val'} & {*pair}):
            counts[pair] = len({*splits[pair[0]]} & {*splits[pair[1]]})
    return {pair: count for pair, count in counts.items() if count}


def _add_image(split: Split, stem: str, outcome: Outcome, image_id: int) -> None:
    for tally, further in ((split.left_out, outcome.left_out), (split.notes, outcome.notes)):
        for reason, places in further.items():
            tally[reason] += places
    if outcome.image:
        name, (width, height) = outcome.image.file_name, outcome.image.size
        entry = dict(id=image_id, file_name=name, width=width, height=height)
        split.content['images'].append(entry)


def _class_of(
    split: Split, stem: str, found: VocObject, classes: ClassNames, difficult: Difficult
) -> str | None:
    """Returns the class of an object, None if it is left out, and counts what is to be known."""
    name = classes.find(found.name)
    if name is None:
        split.left_out[f'boxes of {found.name!r}'].append(stem)
        return None
    if name != found.name:
        split.notes[f'boxes of {found.name!r}, taken for {name!r}'].append(stem)
    if not found.difficult:
        return name
    if difficult == 'drop':
        split.left_out['boxes marked as difficult'].append(stem)
        return None
    how = 'crowds' if difficult == 'ignore' else 'others'
    split.notes[f'boxes marked as difficult, taken for {how}'].append(stem)
    return name


def _add_box(split: Split, corners: Corners, image_id: int, category: int, crowd: bool) -> None:
    left, top, right, bottom = corners
    width, height = right - left, bottom - top
    annotations = split.content['annotations']
    annotations.append(
        dict(
            id=len(annotations) + 1,
            image_id=image_id,
            category_id=category,
            bbox=[round(side, 2) for side in (left, top, width, height)],
            area=round(width * height, 2),
            iscrowd=int(crowd),
        )
    )
