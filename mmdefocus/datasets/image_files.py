"""Which files are images."""

from pathlib import Path

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
