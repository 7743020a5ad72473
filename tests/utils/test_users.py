import os
import subprocess
import sys

import pytest

from mmdefocus.utils.users import know_user

NAMES = ('LOGNAME', 'USER', 'LNAME', 'USERNAME')


@pytest.fixture
def unknown(monkeypatch):
    """Lets the system know no user."""

    def refuse(uid):
        raise KeyError(f'getpwuid(): uid not found: {uid}')

    monkeypatch.setattr('pwd.getpwuid', refuse)
    for name in (*NAMES, 'HOME'):
        monkeypatch.delenv(name, raising=False)


def test_a_user_without_a_name_gets_a_number_and_the_home_of_a_container(unknown):
    know_user()
    assert os.environ['USER'] == f'user{os.getuid()}'
    assert os.environ['HOME'] == '/'


def test_what_there_is_stays(monkeypatch):
    monkeypatch.setenv('LOGNAME', 'somebody')
    monkeypatch.setenv('HOME', '/somewhere')
    monkeypatch.delenv('USER', raising=False)
    know_user()
    assert 'USER' not in os.environ
    assert os.environ['HOME'] == '/somewhere'


def test_a_tool_starts_for_a_user_whom_the_system_does_not_know():
    """In a process of its own, as a container starts it: no home, no name, no entry."""
    code = (
        'import pwd\n'
        'def refuse(uid): raise KeyError(uid)\n'
        'pwd.getpwuid = refuse\n'
        'import mmdefocus, torchvision, mmdefocus.engine.launch\n'
        'from mmengine.config import Config\n'
        'Config(dict(a=1)).pretty_text\n'
    )
    environment = {k: v for k, v in os.environ.items() if k not in (*NAMES, 'HOME')}
    done = subprocess.run(
        [sys.executable, '-c', code], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
