"""Installs the package `mmdefocus`; what it needs is in requirements/."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent


def read_version() -> str:
    source = (ROOT / 'mmdefocus' / 'version.py').read_text()
    return re.search(r"__version__ = '(.+)'", source).group(1)


setup(
    name='mmdefocus',
    version=read_version(),
    description='De-focus Attention Networks: causal vision backbones for OpenMMLab',
    long_description=(ROOT / 'README.md').read_text(),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    python_requires='>=3.10',
    packages=find_packages(include=['mmdefocus', 'mmdefocus.*']),
    package_data={'mmdefocus.ops': ['csrc/*', '*/csrc/*', '*/README.md']},
    install_requires=(ROOT / 'requirements' / 'runtime.txt').read_text().split('\n'),
)
