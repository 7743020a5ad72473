"""Files that say which rows tables have."""

import pytest

from mmdefocus.analysis.table_file import read_tables
from mmdefocus.utils.errors import InputError

GOOD = '{table: T, baseline: a, rows: [{setting: A, config: a, paper: 80.1}]}'


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / 'tables.yml'
        path.write_text(text)
        return path

    return write


def test_tables_are_read(write):
    (table,) = read_tables(write(f'- {GOOD}'))
    assert table['rows'] == [{'setting': 'A', 'config': 'a', 'paper': 80.1}]


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('', 'expected a list of tables, got None'),
        ('- [', 'no YAML'),
        ('a: 1', 'expected a list of tables, got {'),
        ('- 3', 'table 1: expected baseline, rows, table and at most cost, metrics, got 3'),
        (f'- {GOOD}\n- {{table: T, rows: []}}', 'table 2: expected baseline, rows, table'),
        (f'- {GOOD.replace("baseline: a", "baseline: b")}', 'baseline: expected the config of a'),
        ('- {table: T, baseline: a, rows: []}', 'rows: expected a list of rows, got'),
        ('- {table: T, baseline: a, rows: [{setting: A}]}', 'row 1: expected config, setting'),
        (f'- {GOOD.replace("setting: A", "setting: 0.1")}', 'setting: expected a text, in quotes'),
        (f'- {GOOD.replace("80.1", "high")}', "paper: expected a number, got 'high'"),
        (f'- {GOOD.replace("paper", "papr")}', 'row 1: expected config, setting'),
        (f'- {GOOD.replace("rows", "metrics: [top2], rows")}', 'metrics: expected some of top1'),
        (f'- {GOOD.replace("rows", "cost: 3, rows")}', 'cost: expected true or false, got 3'),
    ],
)
def test_a_mistake_is_named(write, text, message):
    with pytest.raises(InputError) as error:
        read_tables(write(text))
    assert 'tables.yml: ' in str(error.value) and message in str(error.value)


def test_a_file_that_is_no_text_is_named(tmp_path):
    path = tmp_path / 'tables.yml'
    path.write_bytes(b'\xff')
    with pytest.raises(InputError, match=r'tables\.yml: no YAML'):
        read_tables(path)
