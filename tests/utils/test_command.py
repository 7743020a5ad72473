"""Tools that are made here, called as their command line would."""

from argparse import ArgumentParser
from contextlib import nullcontext
from io import BytesIO, TextIOWrapper

import pytest

from mmdefocus.utils.command import at_least, command, some_path, some_text
from mmdefocus.utils.errors import InputError


def add_number(parser):
    parser.add_argument('--number', type=at_least(1))


def failing(error):
    """Returns a tool that raises an error."""

    @command()
    def main(args):
        raise error

    return main


def test_work_gets_the_parsed_arguments():
    seen = []

    @command(add_number)
    def main(args):
        seen.append(args.number)

    assert main(['--number', '3']) is None
    assert seen == [3]


@pytest.mark.parametrize('kind', [some_path, some_text])
@pytest.mark.parametrize('text', ['', ' '])
def test_an_empty_argument_is_named(capsys, kind, text):
    main = command(lambda parser: parser.add_argument('--out', type=kind))(lambda args: None)
    with pytest.raises(SystemExit) as stop:
        main(['--out', text])
    assert stop.value.code == 2
    assert 'argument --out: expected some text, got an empty one' in capsys.readouterr().err


def test_arguments_are_those_of_the_process_by_default(monkeypatch):
    seen = []

    @command(add_number)
    def main(args):
        seen.append(args.number)

    monkeypatch.setattr('sys.argv', ['tool.py', '--number', '7'])
    main()
    assert seen == [7]


@pytest.mark.parametrize('status', [0, 1])
def test_status_that_is_returned_is_that_of_the_process(status):
    @command()
    def main(args):
        return status

    with pytest.raises(SystemExit) as stop:
        main([])
    assert stop.value.code == status


@pytest.mark.parametrize('status', [None, 75])
def test_what_comes_at_the_end_comes_after_work_that_ends_the_program_too(status):
    done = []

    @command(at_end=lambda: done.append('end'))
    def main(args):
        done.append('work')
        if status:
            raise SystemExit(status)

    with pytest.raises(SystemExit) if status else nullcontext() as stop:
        main([])
    assert done == ['work', 'end']
    assert status is None or stop.value.code == status


def test_help_shows_the_docstring_of_the_module(capsys):
    with pytest.raises(SystemExit):
        failing(None)(['--help'])
    assert __doc__ in capsys.readouterr().out


def test_error_in_the_input_is_one_line(capsys, monkeypatch):
    monkeypatch.delenv('MMDEFOCUS_TRACEBACK', raising=False)
    with pytest.raises(SystemExit) as stop:
        failing(InputError('bad input'))([])
    assert stop.value.code == 1
    assert capsys.readouterr().err == 'error: bad input\n'


def test_bad_argument_of_a_parser_that_raises_is_one_line(capsys):
    class Raising(ArgumentParser):
        def error(self, message):
            raise InputError(message)

    with pytest.raises(SystemExit) as stop:
        command(add_number, parser_class=Raising)(lambda args: None)(['--number', '0'])
    assert stop.value.code == 1
    assert capsys.readouterr().err.startswith('error: argument --number: ')


def test_programming_error_passes():
    with pytest.raises(RuntimeError, match='bug'):
        failing(RuntimeError('bug'))([])


@pytest.mark.parametrize('text', ['0', '--1', '-3', '1.5', 'many'])
def test_number_below_the_least_is_refused_with_its_option(capsys, text):
    @command(add_number)
    def main(args):
        """Is never reached."""

    with pytest.raises(SystemExit):
        main([f'--number={text}'])
    expected = f"argument --number: expected an integer of at least 1, got '{text}'"
    assert expected in capsys.readouterr().err


def test_a_tool_prints_names_that_stdout_cannot_encode(monkeypatch):
    @command()
    def main(args):
        print('caf\udce9.xml', flush=True)

    content = BytesIO()
    monkeypatch.setattr('sys.stdout', TextIOWrapper(content, 'utf-8', 'strict'))
    main([])
    assert content.getvalue() == b'caf\\udce9.xml\n'
