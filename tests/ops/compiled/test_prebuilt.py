"""Libraries that come with the package, as in a wheel of `make wheel`."""

import ctypes
import shutil

import pytest
import torch

from mmdefocus.ops.compiled import build, prebuilt
from mmdefocus.ops.compiled.compiler import COMPILERS, build_deadline, find_compiler

needs_compiler = pytest.mark.skipif(not any(map(shutil.which, COMPILERS)), reason='no compiler')


@pytest.fixture
def libraries(tmp_path, monkeypatch):
    """A folder where libraries that came with the package are looked for."""
    folder = tmp_path / 'libraries'
    folder.mkdir()
    monkeypatch.setattr(prebuilt, 'FOLDER', folder)
    return folder


@pytest.fixture
def no_compiler(monkeypatch):
    monkeypatch.setenv('CXX', 'no-such-compiler')


@pytest.fixture
def library(source, tmp_path):
    """One that tells 42."""
    folder = tmp_path / 'compiled'
    folder.mkdir()
    return build.compile_library(find_compiler(), build.NATIVE, folder, build_deadline())


@needs_compiler
def test_library_of_the_package_serves_without_a_compiler(library, libraries, request, load):
    capability = torch.backends.cpu.get_cpu_capability()
    shutil.copy(library, prebuilt.place(libraries, capability))
    request.getfixturevalue('no_compiler')
    found = load()
    assert isinstance(found, ctypes.CDLL) and found.answer() == 42


@needs_compiler
def test_library_of_the_package_that_does_not_load_is_compiled_instead(
    source, libraries, load, caplog
):
    prebuilt.place(libraries, torch.backends.cpu.get_cpu_capability()).write_text('no library')
    assert load().answer() == 42
    assert 'the operators that came with the package do not load' in caplog.text


@pytest.mark.parametrize('capability', prebuilt.MARCH)
def test_each_cpu_gets_its_own(libraries, monkeypatch, capability):
    for other in prebuilt.MARCH:
        prebuilt.place(libraries, other).touch()
    monkeypatch.setattr(torch.backends.cpu, 'get_cpu_capability', lambda: capability)
    assert prebuilt.find() == libraries / f'operators-{capability.lower()}.so'


def test_an_unknown_cpu_gets_none(libraries, monkeypatch):
    for capability in prebuilt.MARCH:
        prebuilt.place(libraries, capability).touch()
    monkeypatch.setattr(torch.backends.cpu, 'get_cpu_capability', lambda: 'SVE256')
    assert prebuilt.find() is None


@needs_compiler
def test_a_wheel_carries_one_for_each_instruction_set(source, tmp_path, libraries):
    build.compile_all(tmp_path / 'wheel')
    expected = {prebuilt.place(tmp_path / 'wheel', capability) for capability in prebuilt.MARCH}
    assert set((tmp_path / 'wheel').iterdir()) == expected
    assert all(ctypes.CDLL(str(path)).answer() == 42 for path in expected)
