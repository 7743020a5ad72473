"""Where the pictures of an inferencer go."""

import os
from collections.abc import Iterable
from pathlib import Path

from ..evaluation.drawing import picture_name
from ..utils.errors import InputError
from ..utils.files import check_not_read, folder_beside
from .images import NamedImage


class PictureFiles:
    """Files of pictures, none of which replaces another one, or an image that is read.

    A picture of an earlier process is replaced. The names in a folder are free again when the
    folder is gone.
    """

    def __init__(self) -> None:
        self._used: dict[Path, set[str]] = {}

    def check(self, folder: Path, files: Iterable[Path]) -> None:
        """Makes the folder and checks that pictures of image files may be written there.

        Raises:
            InputError: If one would replace an image, or the folder is a file.
            OSError: If the system refuses to write there.
        """
        if folder.is_file():
            raise InputError(f'out_dir: expected a folder, got the file {folder}')
        self._used = {path: names for path, names in self._used.items() if path.is_dir()}
        files = list(files)
        check_not_read('out_dir', [folder / picture_name(path.name) for path in files], files)
        with folder_beside(folder / 'picture'):  # what cannot be written is not worth computing
            pass

    def choose(self, folder: Path, image: NamedImage) -> Path:
        """Returns the file of the next picture.

        Raises:
            InputError: If it would replace the image.
        """
        used = self._used.setdefault(folder.absolute(), set())
        path = folder / _unused(_usable(image.file_name), used)
        check_not_read('out_dir', [path], [Path(image.name)])
        return path


def _usable(name: str) -> str:
    """Returns the name of a picture, also of an image whose own name no file can have."""
    name = name.replace('\0', '')
    try:
        os.fsencode(name)
    except UnicodeEncodeError:  # half of a character
        name = name.encode('utf-8', 'replace').decode()
    return picture_name('image' if name in ('', '.', '..') else name)


def _unused(name: str, used: set[str]) -> str:
    """Returns a name that no other picture has, which may be that of an image elsewhere."""
    path, number = Path(name), 1
    while name in used:
        number += 1
        name = f'{path.stem}-{number}{path.suffix}'
    used.add(name)
    return name
