"""A library runs when it is loaded, so nothing that others could have written is ever loaded."""

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mmdefocus.ops import available_backends
from mmdefocus.ops.compiled import build, cache

pytestmark = pytest.mark.skipif(
    available_backends('cpu')['selective_scan']['cpu'] != 'available', reason='no compiler'
)
SOMEBODY = 12345
as_root = pytest.mark.skipif(os.getuid() != 0, reason='only root can give files away')


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def messages(caplog) -> str:
    return '\n'.join(record.getMessage() for record in caplog.records)


@pytest.fixture
def library(load) -> Path:
    """A sound library in the cache."""
    assert load().answer() == 42
    (path,) = cache.cache_folder().glob('*.so')
    return path


@pytest.fixture
def planted(library, tmp_path) -> Path:
    """One that leaves a trace if it runs, in its place."""
    evil = tmp_path / 'evil.cpp'
    evil.write_text(
        f'#include <cstdio>\n__attribute__((constructor)) static void run() '
        f'{{ fclose(fopen("{tmp_path}/trace", "w")); }}\nextern "C" int answer() {{ return 666; }}'
    )
    built = tmp_path / 'evil.so'
    subprocess.run(['c++', '-shared', '-fPIC', evil, '-o', built], check=True)
    library.unlink()
    shutil.copy(built, library)
    library.chmod(0o700)
    return library


def under_its_own_digest(path: Path) -> Path:
    """Renames a library as if it had been built here."""
    name, _, _ = path.stem.rpartition('-')
    return path.rename(path.with_name(f'{name}-{cache._digest(path.read_bytes())}.so'))


def test_folder_and_library_are_private(library):
    assert mode(library) == 0o700
    assert mode(library.parent) == 0o700


def test_a_folder_of_an_older_version_is_closed(library, load):
    library.parent.chmod(0o755)
    before = library.stat().st_mtime_ns
    assert load().answer() == 42
    assert mode(library.parent) == 0o700 and library.stat().st_mtime_ns == before


def test_another_content_is_rebuilt(planted, load, tmp_path):
    assert load().answer() == 42
    assert not (tmp_path / 'trace').exists()


@pytest.mark.parametrize('size', [0, 64, 4096])
def test_a_cut_library_is_rebuilt(library, load, size):
    content = library.read_bytes()
    library.unlink()  # another file: the one that is loaded would take this process with it
    library.write_bytes(content[:size])
    library.chmod(0o700)
    assert load().answer() == 42
    assert library.read_bytes() == content


def test_a_library_that_others_can_write_to_is_rebuilt(planted, load, tmp_path):
    under_its_own_digest(planted).chmod(0o777)
    assert load().answer() == 42
    assert not (tmp_path / 'trace').exists()


@as_root
def test_a_library_of_somebody_else_is_rebuilt(planted, load, tmp_path):
    os.chown(under_its_own_digest(planted), SOMEBODY, SOMEBODY)
    assert load().answer() == 42
    assert not (tmp_path / 'trace').exists()


@pytest.mark.parametrize('other', ['link', 'folder', 'pipe'])
def test_what_is_no_file_is_replaced(planted, load, tmp_path, other):
    if other == 'link':
        elsewhere = planted.rename(tmp_path / 'elsewhere.so')
        digest = cache._digest(elsewhere.read_bytes())
        planted.with_name(f'{planted.stem.rpartition("-")[0]}-{digest}.so').symlink_to(elsewhere)
    else:
        planted.unlink()
        (os.mkdir if other == 'folder' else os.mkfifo)(planted)
    assert load().answer() == 42
    assert not (tmp_path / 'trace').exists()
    (only,) = planted.parent.glob('*.so')
    assert only.is_file() and not only.is_symlink()


def test_a_folder_that_others_can_write_to_is_emptied_and_closed(planted, load, tmp_path):
    under_its_own_digest(planted)
    planted.parent.chmod(0o777)
    assert load().answer() == 42
    assert not (tmp_path / 'trace').exists()
    assert mode(planted.parent) == 0o700


def test_a_folder_with_other_things_is_not_touched(library, load, caplog):
    (library.parent / 'thesis.txt').write_text('')
    library.parent.chmod(0o777)
    assert load().answer() == 42
    assert mode(library.parent) == 0o777 and library.exists()
    assert 'others can write to it' in messages(caplog)


def test_a_folder_whose_place_others_could_take_is_not_used(planted, load, tmp_path, caplog):
    under_its_own_digest(planted)
    tmp_path.chmod(0o777)
    assert isinstance(load(), str)  # the temporary files are there too
    assert not (tmp_path / 'trace').exists()
    assert f'others can write to {tmp_path}' in messages(caplog)


@as_root
def test_a_folder_of_somebody_else_is_not_used(planted, load, tmp_path, caplog):
    under_its_own_digest(planted)
    os.chown(planted.parent, SOMEBODY, SOMEBODY)
    assert load().answer() == 42
    assert not (tmp_path / 'trace').exists()
    assert 'belongs to another user' in messages(caplog)
    assert mode(tmp_path / f'mmdefocus-{os.getuid()}') == 0o700


@as_root
def test_a_link_to_a_folder_of_somebody_else_is_not_used(planted, load, tmp_path):
    under_its_own_digest(planted)
    elsewhere = planted.parent.rename(tmp_path / 'elsewhere')
    os.chown(elsewhere, SOMEBODY, SOMEBODY)
    planted.parent.symlink_to(elsewhere)
    assert load().answer() == 42
    assert not (tmp_path / 'trace').exists()


def test_a_link_to_a_private_folder_is_followed(library, load, tmp_path):
    elsewhere = library.parent.rename(tmp_path / 'elsewhere')
    library.parent.symlink_to(elsewhere)
    before = library.stat().st_mtime_ns
    assert load().answer() == 42
    assert library.stat().st_mtime_ns == before


@pytest.mark.parametrize('obstacle', ['file', 'dangling link', 'loop'])
def test_a_folder_that_cannot_be_made_is_replaced_with_a_word(load, obstacle, tmp_path, caplog):
    place = tmp_path / 'cache'
    if obstacle == 'file':
        place.touch()
    else:
        place.symlink_to(place if obstacle == 'loop' else tmp_path / 'nowhere' / 'at all')
    assert load().answer() == 42
    assert len(caplog.records) == 1 and str(place) in messages(caplog)


def test_a_relative_folder_is_refused_with_a_word(load, monkeypatch, tmp_path, caplog):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('MMDEFOCUS_CACHE', 'here')
    assert load().answer() == 42
    assert not (tmp_path / 'here').exists()
    assert "MMDEFOCUS_CACHE: expected an absolute path, got 'here'" in messages(caplog)


@pytest.mark.parametrize('caches', ['', 'here', '.'])
def test_a_relative_folder_of_caches_counts_for_nothing(load, monkeypatch, tmp_path, caches):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv('MMDEFOCUS_CACHE')
    monkeypatch.setenv('XDG_CACHE_HOME', caches)
    monkeypatch.setenv('HOME', str(tmp_path / 'home'))
    assert cache.cache_folder() == tmp_path / 'home/.cache/mmdefocus'
    assert load().answer() == 42
    assert not (tmp_path / 'mmdefocus').exists() and not (tmp_path / 'here').exists()


@pytest.mark.parametrize('home', ['', 'here', None])
def test_without_a_home_the_temporary_files_serve(load, monkeypatch, tmp_path, caplog, home):
    monkeypatch.chdir(tmp_path)
    for name in ('MMDEFOCUS_CACHE', 'XDG_CACHE_HOME'):
        monkeypatch.delenv(name, raising=False)
    if home is None:
        monkeypatch.delenv('HOME')
    else:
        monkeypatch.setenv('HOME', home)
    assert load().answer() == 42
    assert len(caplog.records) == 1
    (kept,) = (tmp_path / f'mmdefocus-{os.getuid()}').glob('*.so')
    assert mode(kept.parent) == 0o700


def test_a_full_disk_ends_in_a_reason(source, tmp_path):
    code = (
        'import resource, sys; from pathlib import Path; from mmdefocus.ops.compiled import build; '
        'resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)); '
        'build.SOURCES = (Path(sys.argv[1]),); reason = build.load_library(); '
        'sys.exit(not isinstance(reason, str) or len(reason.splitlines()) != 1)'
    )
    assert subprocess.run([sys.executable, '-c', code, str(source)]).returncode == 0
    assert not list(tmp_path.rglob('*.so'))


def test_the_library_stays_loaded_when_its_file_is_removed(load, monkeypatch, tmp_path):
    """As that of a process that had to keep it in a folder of its own."""
    for place in (tmp_path / 'cache', tmp_path / f'mmdefocus-{os.getuid()}'):
        place.touch()
    library = load()
    assert isinstance(library, ctypes.CDLL) and library.answer() == 42
    assert not list(tmp_path.rglob('*.so'))


def test_nothing_is_built_twice(library, load, monkeypatch):
    def refuse(*arguments):
        raise AssertionError('compiles')

    monkeypatch.setattr(build, 'compile_library', refuse)
    assert load().answer() == 42
