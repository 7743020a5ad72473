"""The notebooks as files; `make docs` executes them."""

import ast
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / 'docs' / 'notebooks').glob('*.ipynb'))


@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_holds_no_output_and_is_on_the_site(path):
    cells = json.loads(path.read_text())['cells']
    code = [cell for cell in cells if cell['cell_type'] == 'code']
    assert code and not any(cell['outputs'] or cell['execution_count'] for cell in code)
    ast.parse('\n'.join(''.join(cell['source']) for cell in code))
    assert f'\nnotebooks/{path.stem}\n' in (ROOT / 'docs' / 'index.md').read_text()


def test_there_are_three_notebooks():
    assert len(NOTEBOOKS) == 3
