from pathlib import Path

import pytest

from mmdefocus.ops.compiled import build, prebuilt

SOURCE = 'extern "C" int answer() { return 42; }'


@pytest.fixture
def source(tmp_path, monkeypatch) -> Path:
    """One small source instead of all, an empty cache, and nothing that came with the package."""
    path = tmp_path / 'answer.cpp'
    path.write_text(SOURCE)
    monkeypatch.setenv('MMDEFOCUS_CACHE', str(tmp_path / 'cache'))
    monkeypatch.setattr(build, 'SOURCES', (path,))
    monkeypatch.setattr(prebuilt, 'FOLDER', tmp_path / 'none')
    monkeypatch.setattr('tempfile.tempdir', str(tmp_path))
    build.load_library.cache_clear()
    yield path
    build.load_library.cache_clear()


@pytest.fixture
def load(source):
    """`load()`: what a process finds that starts now."""

    def run():
        build.load_library.cache_clear()
        return build.load_library()

    return run
