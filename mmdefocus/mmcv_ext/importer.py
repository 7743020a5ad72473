"""Finds `mmcv._ext` here where no other finder has it."""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

NAME = 'mmcv._ext'
EXTENSION = Path(__file__).with_name('extension.py')


class ExtensionFinder(MetaPathFinder):
    """Stands last among the finders of modules, so operators that mmcv has are never hidden."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Returns `extension.py` for the name `mmcv._ext`, None for any other."""
        return spec_from_file_location(NAME, EXTENSION) if fullname == NAME else None


def register() -> None:
    """Adds the finder to those of this process, once."""
    if not any(isinstance(finder, ExtensionFinder) for finder in sys.meta_path):
        sys.meta_path.append(ExtensionFinder())
