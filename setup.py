"""Adds the configs and tools to the package; everything else about it is in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent


class BuildWithModelIndex(build_py):
    """Adds `mmdefocus/.mim`, where `mim` looks for configs, tools and the model index."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        folder = Path(self.build_lib) / 'mmdefocus' / '.mim'
        shutil.rmtree(folder, ignore_errors=True)
        for name in ('configs', 'tools'):
            shutil.copytree(
                ROOT / name, folder / name, ignore=shutil.ignore_patterns('__pycache__')
            )
        shutil.copy(ROOT / 'model-index.yml', folder)


setup(cmdclass={'build_py': BuildWithModelIndex})
