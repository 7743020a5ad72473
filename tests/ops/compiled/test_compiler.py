"""A compiler that hangs, babbles or lies is given up in one line."""

import shlex
import shutil
import time
from pathlib import Path

import pytest

from mmdefocus.ops.compiled import cache, compiler

pytestmark = pytest.mark.skipif(not shutil.which('c++'), reason='no compiler')


@pytest.fixture
def compiler_that(tmp_path, monkeypatch):
    """`compiler_that(script)`: makes a script in sh the compiler."""

    def install(script: str, interpreter: str = '#!/bin/sh') -> Path:
        path = tmp_path / 'a compiler'
        path.write_bytes(f'{interpreter}\n'.encode() + script.encode('latin-1'))
        path.chmod(0o700)
        monkeypatch.setenv('CXX', shlex.quote(str(path)))
        return path

    return install


def dies_soon(pid: int) -> bool:
    """A busy machine takes its time to end a process that was killed."""
    deadline = time.monotonic() + 20
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not is_alive(pid)


def is_alive(pid: int) -> bool:
    stat = Path(f'/proc/{pid}/stat')
    return stat.exists() and stat.read_text().rpartition(')')[2].split()[0] != 'Z'


def test_arguments_may_follow_its_name(load, monkeypatch):
    monkeypatch.setenv('CXX', '  c++ -O2 -DNAME="\'a b\'" ')
    assert load().answer() == 42


def test_arguments_make_another_library(load, monkeypatch):
    load()
    monkeypatch.setenv('CXX', 'c++ -O1')
    load()
    assert len(list(cache.cache_folder().glob('*.so'))) == 2


def test_a_path_may_have_spaces(load, monkeypatch, tmp_path):
    path = tmp_path / 'my tools'
    path.symlink_to(shutil.which('c++'))
    monkeypatch.setenv('CXX', str(path))
    assert load().answer() == 42


@pytest.mark.parametrize('wanted', ['c++ "-O2', "'"])
def test_an_open_quote_is_told(load, monkeypatch, wanted):
    monkeypatch.setenv('CXX', wanted)
    assert load().startswith('CXX: expected a command, got ')


@pytest.mark.parametrize('when', ['-E', '-c', '-shared'])
def test_one_that_hangs_is_given_up_with_its_children(load, compiler_that, monkeypatch, when):
    monkeypatch.setenv('MMDEFOCUS_BUILD_TIMEOUT', '2')
    path = compiler_that(
        f'case "$*" in *{when}*) sleep 77 & echo $! > "$0.child"; trap "" TERM; wait;; esac\n'
        'exec c++ "$@"'
    )
    start = time.monotonic()
    reason = load()
    assert 'does not end and was given up' in reason and 'MMDEFOCUS_BUILD_TIMEOUT' in reason
    assert time.monotonic() - start < 20
    child = int(path.with_name(path.name + '.child').read_text())
    assert dies_soon(child)


@pytest.mark.parametrize('seconds', ['soon', '0', '-1', 'nan'])
def test_a_time_that_is_none_is_told(load, monkeypatch, seconds):
    monkeypatch.setenv('MMDEFOCUS_BUILD_TIMEOUT', seconds)
    assert load() == f'MMDEFOCUS_BUILD_TIMEOUT: expected seconds above 0, got {seconds!r}'


def test_one_that_leaves_a_process_behind_is_not_waited_for(load, compiler_that):
    compiler_that('sleep 77 &\nexec c++ "$@"')
    start = time.monotonic()
    assert load().answer() == 42
    assert time.monotonic() - start < 20


def test_one_that_reads_its_input_finds_its_end(load, compiler_that):
    compiler_that('cat\nexec c++ "$@"')
    assert load().answer() == 42


def test_one_that_writes_without_end_is_given_up(load, compiler_that, monkeypatch):
    monkeypatch.setattr(compiler, 'MOST_OUTPUT', 1 << 16)
    compiler_that('exec yes')
    assert 'writes without end' in load()


def test_output_that_is_no_text_is_told_in_one_line(load, compiler_that):
    compiler_that('printf "\\377\\376 error: \\033[31m\\000 bad\\n\\377" >&2; exit 3')
    reason = load()
    assert 'failed: ' in reason and ' error: ' in reason and reason.isprintable()


def test_macros_that_are_no_text_are_taken(load, compiler_that):
    compiler_that('case "$*" in *-E*) printf "\\377\\376";; *) exec c++ "$@";; esac')
    assert load().answer() == 42


def test_one_that_fails_without_a_message_is_told_by_its_status(load, compiler_that):
    compiler_that('exit 3')
    assert load().endswith('failed: exit status 3')


def test_one_that_dies_is_told_by_its_signal(load, compiler_that):
    compiler_that('kill -9 $$')
    assert load().endswith('failed: signal 9')


def test_one_that_cannot_be_run_is_told(load, compiler_that):
    compiler_that('exit 0', interpreter='#!/no/such/interpreter')
    assert 'cannot be run' in load()


@pytest.mark.parametrize('content', ['garbage', 'nothing'])
def test_one_that_makes_no_library_is_told(load, compiler_that, content):
    writes = {'garbage': 'echo garbage > "$last"', 'nothing': ':'}[content]
    compiler_that(f'for last; do :; done\ncase "$*" in *-E*) ;; *) {writes};; esac')
    reason = load()
    assert isinstance(reason, str) and len(reason.splitlines()) == 1
    assert not list(cache.cache_folder().glob('*.so'))


def test_one_that_cuts_the_library_does_not_kill_the_process(load, compiler_that):
    compiler_that(
        'for last; do :; done\nc++ "$@" || exit\n'
        'case "$*" in *-shared*) truncate -s 4096 "$last";; esac'
    )
    assert isinstance(load(), str)
