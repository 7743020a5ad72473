"""A data set in Pascal VOC's layout: which files there are, and what becomes of each image."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from ..utils.errors import InputError
from .image_files import find_images
from .voc_file import Corners, VocObject, read_voc

ORIENTATION = 0x0112  # tag of EXIF
TURNED = (5, 6, 7, 8)  # its values for a picture on its side


class Rules(NamedTuple):
    """How annotations are taken.

    Attributes:
        one_based: Whether corners are the numbers of pixels, counted from 1 and both inside the
            box, as in VOC's own files; if not, they are distances from the edge of the image.
        any_size: Whether boxes count in pixels of the image file, whatever size is annotated.
    """

    one_based: bool = False
    any_size: bool = False


class VocImage(NamedTuple):
    """An image with the objects that can be used.

    Attributes:
        file_name: Its name within the folder of images.
        size: Width and height in pixels, upright.
        objects: The objects; corners are within the image, as distances from its edges.
    """

    file_name: str
    size: tuple[int, int]
    objects: list[VocObject]


class Outcome(NamedTuple):
    """What became of an image: the image, if it can be used, and what was done about it.

    Attributes:
        image: None if the image is left out.
        left_out: What is left out, by the reason: file and object of each.
        notes: What was mended, in the same way.
    """

    image: VocImage | None
    left_out: dict[str, list[str]]
    notes: dict[str, list[str]]

    def objects(self) -> list[VocObject]:
        """Returns the objects that can be used; none of an image that is left out."""
        return self.image.objects if self.image else []


class FilesByStem:
    """Finds files by their names without suffix, in another case if there is no other way.

    Args:
        paths: The files of a folder.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self._exact: dict[str, list[Path]] = defaultdict(list)
        self._folded: dict[str, list[Path]] = defaultdict(list)
        for path in paths:
            self._exact[path.stem].append(path)
            self._folded[path.stem.casefold()].append(path)

    def stems(self) -> list[str]:
        """Returns the names without suffix, in their order."""
        return sorted(self._exact)

    def having(self, stem: str) -> list[Path]:
        """Returns the files of a stem."""
        return self._exact.get(stem) or self._folded.get(stem.casefold(), [])

    def find(self, stem: str, name: str | None = None) -> Path | None:
        """Returns the file of a stem, None if there is none.

        Args:
            stem: The name without suffix.
            name: The whole name, which decides if several files have the stem.

        Raises:
            InputError: If several files have it and none of them has the name.
        """
        found = self.having(stem)
        named = [path for path in found if path.name == name]
        if len(found) > 1 and not named:
            names = ' and '.join(path.name for path in found[:2])
            raise InputError(f'{found[0].parent}: expected one file for {stem!r}, got {names}')
        return next(iter(named or found), None)


class VocFolder:
    """The annotations and images of a data set.

    Args:
        annotations: Folder of the XML files.
        images: Folder of the images.
        rules: How annotations are taken.

    Raises:
        InputError: If a folder does not exist or has no such file.
    """

    def __init__(self, annotations: Path, images: Path, rules: Rules) -> None:
        for folder in (annotations, images):
            if not folder.is_dir():
                raise InputError(f'{folder}: no such folder')
        files = [path for path in annotations.iterdir() if path.suffix.lower() == '.xml']
        if not files:
            raise InputError(
                f'{annotations}: expected annotations as *.xml in this folder itself, found none; '
                '--annotations names another within ROOT'
            )
        self.annotations = FilesByStem(files)
        pictures = find_images(images)
        if not pictures:
            raise InputError(
                f'{images}: expected images in this folder itself, found none; --images names '
                'another within ROOT'
            )
        self.images = FilesByStem(pictures)
        self.rules = rules

    def read(self, stem: str) -> Outcome:
        """Returns what becomes of an image.

        The image is that of the annotation's name; where there is none, that of `<filename>`,
        which is often outdated. It is counted if `<filename>` is the name of another image.

        Args:
            stem: Its name in the list of a split, without suffix.

        Raises:
            InputError: If its annotation is broken (see `read_voc`), or its name is that of
                several files.
        """
        left_out: dict[str, list[str]] = defaultdict(list)
        notes: dict[str, list[str]] = defaultdict(list)

        def without_image(reason: str) -> Outcome:
            left_out[f'images {reason}'].append(stem)
            return Outcome(None, left_out, notes)

        annotation_file = self.annotations.find(stem)
        if annotation_file is None:
            return without_image('without an annotation')
        annotation = read_voc(annotation_file)
        name = annotation.file_name
        path = self.images.find(stem, name) or (name and self.images.find(Path(name).stem, name))
        if not path:
            return without_image('that are not there')
        if not is_text(path.name):
            return without_image('with a name that is not in UTF-8, which JSON cannot hold')
        size = image_size(path)
        if size is None:
            return without_image('that cannot be read')
        if annotation.size is None:
            notes['images without a size in the annotation'].append(stem)
        elif annotation.size != size:
            if not self.rules.any_size:
                return without_image('of another size than annotated')
            notes['images of another size than annotated'].append(stem)
        if name and self._is_another(path, name):
            notes['images whose <filename> is another image'].append(stem)
        objects = []
        for number, found in enumerate(annotation.objects, start=1):
            where = f'{annotation_file.name}, object {number}'
            box, reason = fit(found.corners, size, self.rules.one_based)
            if box is None:
                left_out[f'boxes {reason}'].append(where)
                continue
            if reason:
                notes[f'boxes {reason}'].append(where)
            for note in found.notes:
                notes[note].append(where)
            objects.append(found._replace(corners=box))
        return Outcome(VocImage(path.name, size, objects), left_out, notes)

    def _is_another(self, path: Path, name: str) -> bool:
        """Tells whether a name, with or without suffix, is that of another image than a path."""
        named = self.images.having(Path(name).stem)
        return bool(named) and path not in named and name != path.stem


def is_text(name: str) -> bool:
    """Tells whether the name of a file is text; Python keeps bytes that are none as surrogates."""
    return name.encode(errors='ignore').decode() == name


def image_size(path: Path) -> tuple[int, int] | None:
    """Returns width and height of an image, upright as its EXIF data say; None if unreadable."""
    try:
        with Image.open(path) as image:
            width, height = image.size
            turned = image.getexif().get(ORIENTATION) in TURNED
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):  # Pillow's own
        return None
    return (height, width) if turned else (width, height)


def fit(corners: Corners, size: tuple[int, int], one_based: bool) -> tuple[Corners | None, str]:
    """Cuts a box to its image.

    Args:
        corners: Left, top, right, bottom in pixels.
        size: Width and height of the image.
        one_based: See `Rules`.

    Returns:
        The corners, None for a box that cannot be used, and why, or what was done.
    """
    left, top, right, bottom = corners
    if one_based:
        left, top = left - 1, top - 1
    if right < left or bottom < top:
        return None, 'with their corners the wrong way round'
    # what mmdet leaves out, too
    if right - left < 1 or bottom - top < 1:
        return None, 'of no area or of less than a pixel'
    width, height = size
    box = max(left, 0.0), max(top, 0.0), min(right, width), min(bottom, height)
    if box[2] - box[0] < 1 or box[3] - box[1] < 1:
        return None, 'outside their image'
    return box, '' if box == (left, top, right, bottom) else 'cut to their image'
