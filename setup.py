"""Adds the configs and tools to the package, and its operators as libraries to a wheel that asks.

Everything else about the package is in pyproject.toml.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent


class BuildWithModelIndex(build_py):
    """Adds `mmdefocus/.mim`, where `mim` looks for configs, tools and the model index."""

    with_libraries = False

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        package = Path(self.build_lib) / 'mmdefocus'
        folder = package / '.mim'
        shutil.rmtree(folder, ignore_errors=True)
        for name in ('configs', 'tools'):
            shutil.copytree(
                ROOT / name, folder / name, ignore=shutil.ignore_patterns('__pycache__')
            )
        shutil.copy(ROOT / 'model-index.yml', folder)
        libraries = package / 'ops/compiled/libraries'
        shutil.rmtree(libraries, ignore_errors=True)
        if self.with_libraries:
            from mmdefocus.ops.compiled.build import compile_all  # needs torch

            compile_all(libraries)


class WheelWithLibraries(bdist_wheel):
    """Compiles the operators for a wheel of this platform with `--with-libraries`."""

    user_options = [
        *bdist_wheel.user_options,
        ('with-libraries', None, 'compile the operators; torch must be installed'),
    ]
    boolean_options = [*bdist_wheel.boolean_options, 'with-libraries']

    def initialize_options(self) -> None:
        super().initialize_options()
        self.with_libraries = False

    def finalize_options(self) -> None:
        super().finalize_options()
        self.root_is_pure = not self.with_libraries
        self.get_finalized_command('build_py').with_libraries = self.with_libraries

    def get_tag(self) -> tuple[str, str, str]:
        platform = super().get_tag()[2]
        return 'py3', 'none', platform  # the libraries know nothing of Python


setup(cmdclass={'build_py': BuildWithModelIndex, 'bdist_wheel': WheelWithLibraries})
