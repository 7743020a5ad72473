"""Which files are images."""

from pathlib import Path

# What OpenCV reads; a test decodes each.
IMAGE_SUFFIXES = frozenset(
    f'.{suffix}'
    for suffix in (
        *('avif', 'bmp', 'dib', 'gif', 'jp2', 'jpe', 'jpeg', 'jpg', 'pbm', 'pgm', 'png', 'pnm'),
        *('ppm', 'tif', 'tiff', 'webp'),
    )
)


def find_images(folder: Path) -> list[Path]:
    """Returns the image files of a folder and of those inside it, in the order of their paths.

    Sockets, pipes and folders with the name of an image are not among them.
    """
    return sorted(
        path
        for path in folder.rglob('*')
        if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()
    )
