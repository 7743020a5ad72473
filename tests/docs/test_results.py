"""Tables in the docs against the results that they show, and the configs that they name."""

from pathlib import Path

import pytest

from mmdefocus.analysis.pages import with_tables
from mmdefocus.analysis.run_tables import as_markdown
from mmdefocus.analysis.runs import read_runs
from mmdefocus.analysis.table_file import read_tables

ROOT = Path(__file__).parents[2]
# folder of the results: folder of the configs, page with the tables
PAGES = {
    'cifar10': ('configs/cifar10', 'docs/cifar10.md'),
    'bccd': ('configs/bccd', 'docs/train_on_your_data.md'),
    'digits': ('configs/ablations/digits', 'configs/ablations/README.md'),
}
NO_ROW = {'defocus-mamba-3m_gpu_cifar10'}  # a recipe for a GPU


@pytest.fixture(params=PAGES)
def name(request) -> str:
    return request.param


@pytest.fixture
def configs(name) -> Path:
    return ROOT / PAGES[name][0]


@pytest.fixture
def tables(configs) -> list[dict]:
    return read_tables(configs / 'tables.yml')


def test_the_tables_of_a_page_are_those_of_the_results(name, tables):
    page = (ROOT / PAGES[name][1]).read_text()
    runs = read_runs(ROOT / 'docs' / 'results' / name)
    assert with_tables(page, as_markdown(tables, runs)) == page


def test_every_config_of_a_setting_has_a_row_and_every_row_a_config(configs, tables):
    rows = {row['config'] for table in tables for row in table['rows']}
    assert rows == {path.stem for path in configs.glob('*.py')} - NO_ROW
