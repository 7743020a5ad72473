"""Installs the package `mmdefocus`; what it needs is in requirements/."""

import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent


def read_version() -> str:
    source = (ROOT / 'mmdefocus' / 'version.py').read_text()
    return re.search(r"__version__ = '(.+)'", source).group(1)


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


setup(
    name='mmdefocus',
    version=read_version(),
    description='De-focus Attention Networks: causal vision backbones for OpenMMLab',
    long_description=(ROOT / 'README.md').read_text(),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    cmdclass={'build_py': BuildWithModelIndex},
    python_requires='>=3.10',
    packages=find_packages(include=['mmdefocus', 'mmdefocus.*']),
    package_data={'mmdefocus.ops': ['csrc/*', '*/csrc/*', '*/README.md']},
    install_requires=(ROOT / 'requirements' / 'runtime.txt').read_text().split('\n'),
)
