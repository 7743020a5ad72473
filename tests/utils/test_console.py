import sys
from io import BytesIO, StringIO, TextIOWrapper

import pytest
from rich.console import Console

from mmdefocus.utils.console import make_console, make_table, take_any_text


def test_table_in_a_file_is_not_squeezed(capsys):
    table = make_table('name', *(f'a number of some unit, {index}' for index in range(5)))
    make_console().print(table)
    header = capsys.readouterr().out.splitlines()[1]
    assert all(f'a number of some unit, {index}' in header for index in range(5))


def test_progress_may_go_to_stderr(capsys):
    make_console(stderr=True).print('half done')
    output = capsys.readouterr()
    assert (output.out, output.err) == ('', 'half done\n')


def test_names_are_on_the_left_and_numbers_on_the_right():
    table = make_table('name', 'one', 'two', title='what')
    assert [column.justify for column in table.columns] == ['left', 'right', 'right']
    assert table.title == 'what'


def test_names_are_printed_as_they_are(capsys):
    names = ('[red]x[/]', '[/]', ':smile:', '[link=http://a]b')
    table = make_table(names[0], names[1], title=names[2])
    table.add_row(*names[2:])
    console = make_console()
    console.print(table)
    console.print(names[1], highlight=False)
    printed = capsys.readouterr().out
    assert all(name in printed for name in names)


def test_a_long_name_is_broken_and_not_cut():
    table = make_table('model', 'number')
    table.add_row('vit-noncausal_cifar10', '1')
    console = Console(width=16)
    with console.capture() as capture:
        console.print(table)
    lines = [line.strip('│┃ ').split('│')[0].strip() for line in capture.get().splitlines()]
    assert 'vit-noncausal_cifar10' in ''.join(lines)


@pytest.mark.parametrize(
    ('encoding', 'printed'),
    [
        ('utf-8', 'café \\udce9'),
        ('ascii', 'caf\\xe9 \\udce9'),
        ('latin-1', 'café \\udce9'),
    ],
)
def test_what_the_encoding_of_stdout_lacks_is_an_escape(monkeypatch, encoding, printed):
    content = BytesIO()
    monkeypatch.setattr(sys, 'stdout', TextIOWrapper(content, encoding, 'strict'))
    take_any_text()
    print('café \udce9', flush=True)
    assert content.getvalue().decode(encoding).strip() == printed


def test_a_table_on_a_stdout_of_ascii_has_plain_lines(monkeypatch):
    content = BytesIO()
    monkeypatch.setattr(sys, 'stdout', TextIOWrapper(content, 'ascii', 'strict'))
    take_any_text()
    table = make_table('name')
    table.add_row('café')
    make_console().print(table)
    sys.stdout.flush()
    assert '|caf\\xe9|' in content.getvalue().decode('ascii')


def test_an_output_that_is_no_file_stays_as_it_is(monkeypatch):
    output = StringIO()
    monkeypatch.setattr(sys, 'stdout', output)
    take_any_text()
    print('café \udce9')
    assert output.getvalue() == 'café \udce9\n'
