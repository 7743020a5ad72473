"""Which files are images."""

from pathlib import Path

from ..utils.errors import InputError

# What OpenCV reads; a test decodes each.
IMAGE_SUFFIXES = (
    *('.bmp', '.dib', '.gif', '.jp2', '.jpe', '.jpeg', '.jpg', '.pbm', '.pgm', '.png', '.pnm'),
    *('.ppm', '.tif', '.tiff', '.webp', '.avif'),
)
# What OpenCV writes of a coloured picture, too.
WRITTEN_SUFFIXES = frozenset(IMAGE_SUFFIXES) - {'.avif', '.gif', '.jp2', '.pbm', '.pgm'}


def find_images(folder: Path) -> list[Path]:
    """Returns the image files of a folder, in the order of their names.

    Sockets, pipes and folders with the name of an image are not among them.
    """
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()
    )


def images_of(path: Path) -> list[Path]:
    """Returns a file, or the images of a folder in the order of their names.

    Raises:
        InputError: If there is none, or the system refuses to read it.
    """
    try:
        if not path.is_dir():
            if not path.is_file():
                found = 'no regular file' if path.exists() else 'no such file or folder'
                raise InputError(f'{path}: {found}')
            return [path]
        images = find_images(path)
    except OSError as error:  # a name that is too long, a folder that may not be read
        raise InputError(f'{path}: cannot be read: {error.strerror}') from error
    if not images:
        raise InputError(f'{path}: no image in this folder; expected {", ".join(IMAGE_SUFFIXES)}')
    return images


def left_out(path: Path) -> str:
    """Says what `images_of` leaves out of a folder.

    Returns:
        Such as '2 files (.heic, no suffix) and 1 folder'; nothing of a file or a folder of images.
    """
    others = set(path.iterdir()).difference(find_images(path)) if path.is_dir() else set()
    folders = sum(other.is_dir() for other in others)
    files = len(others) - folders
    suffixes = {other.suffix.lower() or 'no suffix' for other in others if not other.is_dir()}
    parts = []
    if files:
        parts.append(f'{files} file{"s" * (files > 1)} ({", ".join(sorted(suffixes))})')
    if folders:
        parts.append(f'{folders} folder{"s" * (folders > 1)}')
    return ' and '.join(parts)
