"""Pages with generated tables."""

import pytest

from mmdefocus.analysis.pages import with_tables, write_tables
from mmdefocus.utils.errors import InputError

PAGE = 'a\n<!-- tables -->\nold\n<!-- end of tables -->\nb\n'


def test_tables_replace_those_of_a_page():
    page = 'a\n<!-- tables -->\nold\n<!-- end of tables -->\nb\n'
    assert with_tables(page, '| new |\n') == (
        'a\n<!-- tables -->\n| new |\n<!-- end of tables -->\nb\n'
    )


def test_a_page_without_markers_is_refused():
    with pytest.raises(ValueError, match='expected the lines'):
        with_tables('a\n', '| new |\n')


@pytest.mark.parametrize('content', [b'a\n', b'\xff'])
def test_a_file_that_is_no_page_is_named_and_left_as_it_is(tmp_path, content):
    page = tmp_path / 'page.md'
    page.write_bytes(content)
    with pytest.raises(InputError, match=r'page\.md: '):
        write_tables(page, '| new |\n')
    assert page.read_bytes() == content


def test_a_page_is_replaced_whole(tmp_path):
    page = tmp_path / 'page.md'
    page.write_text(PAGE)
    before = page.stat().st_ino
    write_tables(page, '| new |\n')
    assert page.stat().st_ino != before
    assert page.read_text() == PAGE.replace('old', '| new |')
