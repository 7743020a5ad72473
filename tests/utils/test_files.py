import fcntl
import json
import multiprocessing
import os
import shutil
import tempfile
import threading

import numpy as np
import pytest
import torch

from mmdefocus.utils.errors import InputError
from mmdefocus.utils.files import (
    check_not_read,
    check_place,
    fitting_name,
    folder_beside,
    put,
    remove_unfinished,
    replacing,
    write_json,
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_was_written_takes_the_place_of_the_file(tmp_path):
    path = tmp_path / 'new' / 'file.txt'
    for text in ('first', 'second'):
        with replacing(path) as unfinished:
            unfinished.write_text(text)
        assert path.read_text() == text
    assert names(path.parent) == ['file.txt']


def test_unfinished_file_has_the_name_of_the_file(tmp_path):
    with replacing(tmp_path / 'file.onnx') as unfinished:
        unfinished.touch()
        assert unfinished.name == 'file.onnx'


def test_error_leaves_the_file_as_it_was_and_nothing_beside(tmp_path):
    path = tmp_path / 'file.txt'
    path.write_text('before')
    with pytest.raises(RuntimeError), replacing(path) as unfinished:
        unfinished.write_text('half')
        raise RuntimeError
    assert path.read_text() == 'before'
    assert names(tmp_path) == ['file.txt']


def test_nothing_written_is_an_error_and_leaves_the_file(tmp_path):
    path = tmp_path / 'file.txt'
    path.write_text('before')
    with pytest.raises(FileNotFoundError), replacing(path):
        pass
    assert path.read_text() == 'before'


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    path = tmp_path / 'file.txt'
    with replacing(path) as one, replacing(path) as other:
        one.write_text('one')
        other.write_text('other')
    assert path.read_text() == 'one'  # the last to finish
    assert names(tmp_path) == ['file.txt']


def test_content_is_on_the_disk_before_the_name_is(tmp_path, monkeypatch):
    calls = []
    source, path = tmp_path / 'source', tmp_path / 'path'
    source.touch()
    monkeypatch.setattr('os.fsync', lambda descriptor: calls.append('fsync'))
    monkeypatch.setattr('os.replace', lambda *paths: calls.append('replace'))
    put(source, path)
    assert calls[:2] == ['fsync', 'replace']


def test_folder_beside_is_gone_with_all_that_is_left_in_it(tmp_path):
    with folder_beside(tmp_path / 'new' / 'file') as folder:
        assert folder.parent == tmp_path / 'new'
        (folder / 'left').mkdir()
    assert names(tmp_path / 'new') == []


def test_json_holds_arrays_and_tensors_as_lists(tmp_path):
    write_json({'a': np.ones(2), 'b': torch.zeros(1)}, tmp_path / 'file.json')
    assert json.loads((tmp_path / 'file.json').read_text()) == {'a': [1.0, 1.0], 'b': [0.0]}


def test_writer_waits_for_one_that_takes_its_new_folder_for_a_leftover(tmp_path, monkeypatch):
    """The other locks the folder before its owner does, and removes it a moment later."""
    removals = []

    def take_away(folder, descriptor):
        shutil.rmtree(folder)
        os.close(descriptor)

    def make_folder(*arguments):
        folder = tempfile.mkdtemp(*arguments)
        if not removals:
            descriptor = os.open(folder, os.O_RDONLY)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            removals.append(threading.Timer(0.2, take_away, (folder, descriptor)))
            removals[0].start()
        return folder

    monkeypatch.setattr('mmdefocus.utils.files.mkdtemp', make_folder)
    with replacing(tmp_path / 'file.txt') as unfinished:
        removals[0].join()
        unfinished.write_text('whole')
    assert names(tmp_path) == ['file.txt']


def die_within(path, ready):
    with replacing(path) as unfinished:
        unfinished.write_text('half')
        ready.set()
        multiprocessing.Event().wait()


@pytest.fixture
def leftover(tmp_path):
    """A file that a process, now killed, had begun to replace."""
    fork = multiprocessing.get_context('fork')
    ready = fork.Event()
    process = fork.Process(target=die_within, args=(tmp_path / 'file.txt', ready))
    process.start()
    ready.wait(30)
    process.kill()
    process.join()
    assert len(names(tmp_path)) == 1
    return tmp_path / 'file.txt'


def test_next_writer_removes_what_a_killed_one_has_left(leftover):
    with replacing(leftover) as unfinished:
        unfinished.write_text('whole')
    assert names(leftover.parent) == ['file.txt']
    assert leftover.read_text() == 'whole'


def test_what_killed_writers_have_left_is_removed_from_a_folder(leftover):
    remove_unfinished(leftover.parent)
    assert names(leftover.parent) == []


def test_what_is_being_written_is_not_removed(tmp_path):
    with replacing(tmp_path / 'file.txt') as unfinished:
        unfinished.write_text('whole')
        remove_unfinished(tmp_path)
        assert unfinished.exists()


def test_a_folder_is_no_place_for_a_file(tmp_path):
    with pytest.raises(IsADirectoryError, match=str(tmp_path)):
        check_place(tmp_path)


def test_a_place_is_left_as_it_was(tmp_path):
    check_place(tmp_path / 'file.txt')
    assert not names(tmp_path)


def test_a_file_that_is_read_is_not_written_under_another_name_either(tmp_path):
    (tmp_path / 'file').touch()
    (tmp_path / 'link').symlink_to('file')
    check_not_read('--out', [tmp_path / 'new', tmp_path / 'absent'], [tmp_path / 'absent'])
    with pytest.raises(InputError, match=r'^--out: .*file is read, and would be replaced'):
        check_not_read('--out', [tmp_path / 'file'], [tmp_path / 'link'])


@pytest.mark.parametrize('name', ['a.png', 'x' * 196 + '.png', 'ü' * 98 + '.png'])
def test_a_name_that_fits_stays(name):
    assert fitting_name(name) == name


@pytest.mark.parametrize('letter', ['x', 'ü', '語'])
def test_a_long_name_is_cut_and_tells_itself_from_others(tmp_path, letter):
    found = [fitting_name(f'{letter * 250}{end}.png') for end in 'ab']
    assert found[0] != found[1]
    for name in found:
        assert name.startswith(letter * 50) and name.endswith('.png')
        assert len(os.fsencode(name)) <= 200
        with replacing(tmp_path / name) as unfinished:
            unfinished.touch()
    assert names(tmp_path) == sorted(found)


def test_of_a_long_suffix_little_stays():
    assert len(fitting_name('a.' + 'b' * 250)) == 200
