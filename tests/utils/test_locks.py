import errno
import multiprocessing
import os

import pytest

from mmdefocus.utils.errors import InputError
from mmdefocus.utils.locks import claimed

FORK = multiprocessing.get_context('fork')


def claim(folder, ready, end):
    with claimed(folder):
        ready.set()
        end.wait()


@pytest.fixture
def claimer(tmp_path):
    """A process that holds the lock of `tmp_path`."""
    ready, end = FORK.Event(), FORK.Event()
    process = FORK.Process(target=claim, args=(tmp_path, ready, end))
    process.start()
    ready.wait(30)
    yield process
    process.kill()
    process.join()


def test_second_claim_is_refused_and_names_the_first(tmp_path, claimer):
    message = f'another training .*process {claimer.pid} on '
    with pytest.raises(InputError, match=message), claimed(tmp_path):
        pass


def test_killed_process_holds_no_lock(tmp_path, claimer):
    claimer.kill()
    claimer.join()
    with claimed(tmp_path):
        assert f'process {os.getpid()} on' in (tmp_path / 'training.lock').read_text()


def test_worker_that_outlives_its_parent_holds_no_lock(tmp_path):
    end = FORK.Event()
    with claimed(tmp_path):
        worker = FORK.Process(target=end.wait)
        worker.start()
    try:
        ready, done = FORK.Event(), FORK.Event()
        done.set()
        other = FORK.Process(target=claim, args=(tmp_path, ready, done))
        other.start()
        other.join(30)
        assert other.exitcode == 0
    finally:
        end.set()
        worker.join()


def test_file_system_without_locks_is_used_with_a_word(tmp_path, monkeypatch, capfd):
    def refuse(*_):
        raise OSError(errno.ENOLCK, 'No locks available')

    monkeypatch.setattr('fcntl.lockf', refuse)
    with claimed(tmp_path):
        pass
    assert 'cannot be locked against another training' in capfd.readouterr().err
