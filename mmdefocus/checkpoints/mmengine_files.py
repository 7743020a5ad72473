"""Lets MMEngine write files that are whole or not there, wherever it writes one.

Each checkpoint that MMEngine saves goes through the `put` of a file backend: those of its runners,
strategies and `CheckpointHook`, the best ones too.
"""

from pathlib import Path

from mmengine.fileio import FileClient, LocalBackend, register_backend

from ..utils.errors import InputError
from ..utils.files import replacing
from .files import seal
from .zip_archive import is_archive


class WholeFileBackend(LocalBackend):
    """MMEngine's backend of local files, which replaces a file when the new one is on the disk.

    A checkpoint gets a digest and is read back before it takes its place.
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Writes bytes.

        Raises:
            InputError: If a checkpoint cannot be read back; the file is as it was then.
        """
        path = Path(filepath)
        with replacing(path) as unfinished:
            unfinished.write_bytes(obj)
            if path.suffix == '.pth' and is_archive(unfinished):
                seal(unfinished)

    def get_text(self, filepath: str | Path, encoding: str = 'utf-8') -> str:
        """Reads a text.

        Raises:
            InputError: If the file is no text, such as a pickle under the name of a JSON file.
        """
        try:
            return super().get_text(filepath, encoding)
        except UnicodeDecodeError as error:
            raise InputError(f'{filepath}: expected a text file, got other bytes') from error

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        """Writes a text."""
        with replacing(Path(filepath)) as unfinished:
            unfinished.write_text(obj, encoding=encoding)


def register() -> None:
    """Makes `WholeFileBackend` the backend of local files."""
    register_backend('local', WholeFileBackend, force=True, prefixes='')
    FileClient.register_backend('disk', WholeFileBackend, force=True)
