"""The table of BCCD in docs/train_on_your_data.md against the results that it shows."""

from pathlib import Path

import yaml

from mmdefocus.analysis.runs import as_markdown, read_runs, with_tables

ROOT = Path(__file__).parents[2]
(TABLE,) = yaml.safe_load((ROOT / 'configs/bccd/tables.yml').read_text())
ROWS = [row['config'] for row in TABLE['rows']]


def test_the_table_of_the_guide_is_that_of_the_results():
    page = (ROOT / 'docs/train_on_your_data.md').read_text()
    runs = read_runs(ROOT / 'docs/results/bccd')
    assert with_tables(page, as_markdown([TABLE], runs)) == page


def test_every_config_has_a_row():
    configs = {path.stem for path in (ROOT / 'configs/bccd').glob('*.py')}
    assert configs == set(ROWS) and TABLE['baseline'] in ROWS
