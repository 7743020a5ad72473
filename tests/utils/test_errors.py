import pytest
import torch

from mmdefocus.ops import selective_scan
from mmdefocus.utils.errors import InputError, explain, one_line_errors


def caught(error):
    """Returns an error with the traceback of this module."""
    try:
        raise error
    except type(error) as raised:
        return raised


@pytest.mark.parametrize(
    'error',
    [InputError('bad input'), FloatingPointError('bad input'), FileNotFoundError('bad input')],
)
def test_known_errors_are_explained_by_their_message(error):
    assert explain(caught(error)) == 'bad input'


@pytest.mark.parametrize(
    'error', [ValueError('x'), TypeError('x'), KeyError('x'), RuntimeError('x')]
)
def test_programming_errors_are_not_explained(error):
    assert explain(caught(error)) is None


def test_value_errors_of_the_package_are_explained():
    with pytest.raises(ValueError) as error:
        selective_scan(*[torch.zeros(1)] * 5)
    assert explain(error.value).startswith('u: expected (B, D, L)')


def test_a_message_of_many_lines_becomes_one():
    assert explain(InputError('first\n  second')) == 'first second'


def test_ends_with_one_line_and_status_one(capsys, monkeypatch):
    monkeypatch.delenv('MMDEFOCUS_TRACEBACK', raising=False)
    with pytest.raises(SystemExit) as stop, one_line_errors():
        raise InputError('bad input')
    assert stop.value.code == 1
    assert capsys.readouterr().err == 'error: bad input\n'


def test_traceback_can_be_asked_for(monkeypatch):
    monkeypatch.setenv('MMDEFOCUS_TRACEBACK', '1')
    with pytest.raises(InputError), one_line_errors():
        raise InputError('bad input')


def test_interruption_is_one_line_and_status_130(capsys, monkeypatch):
    monkeypatch.delenv('MMDEFOCUS_TRACEBACK', raising=False)
    with pytest.raises(SystemExit) as stop, one_line_errors():
        raise KeyboardInterrupt
    assert stop.value.code == 130
    assert capsys.readouterr().err == 'error: interrupted\n'


def test_programming_errors_pass():
    with pytest.raises(RuntimeError), one_line_errors():
        raise RuntimeError('bug')
