"""docs/cifar10.md against the results that it shows."""

from pathlib import Path

import yaml

from mmdefocus.analysis.runs import as_markdown, read_runs, with_tables

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / 'configs' / 'cifar10'
TABLES = yaml.safe_load((CONFIGS / 'tables.yml').read_text())
GPU = 'defocus-mamba-3m_gpu_cifar10'


def test_the_tables_of_the_page_are_those_of_the_results():
    page = (ROOT / 'docs' / 'cifar10.md').read_text()
    runs = read_runs(ROOT / 'docs' / 'results' / 'cifar10')
    assert with_tables(page, as_markdown(TABLES, runs)) == page


def test_every_config_of_a_setting_has_a_row_and_every_row_a_config():
    rows = {row['config'] for table in TABLES for row in table['rows']}
    assert rows | {GPU} == {path.stem for path in CONFIGS.glob('*.py')}


def test_every_baseline_is_a_row_of_its_table():
    for table in TABLES:
        assert table['baseline'] in [row['config'] for row in table['rows']], table['table']
