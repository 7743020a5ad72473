from pathlib import Path

import pytest
import yaml
from mmengine.config import Config

from mmdefocus.analysis.cost.summary import build_on_meta, default_shape, summarize

ROOT = Path(__file__).parents[2]
MODELS = [
    model
    for metafile in yaml.safe_load((ROOT / 'model-index.yml').read_text())['Import']
    for model in yaml.safe_load((ROOT / metafile).read_text())['Models']
]
ENTRY = {
    'Name': 'tiny',
    'Config': 'configs/tiny.py',
    'Metadata': {'Epochs': 3, 'Parameters': 1_260_000, 'FLOPs': 2.5e9, 'Activations': 3 * 2**20},
}


@pytest.fixture
def tool(load_tool):
    return load_tool('analysis/model_zoo')


def test_the_page_in_docs_is_up_to_date(tool):
    assert tool.ZOO.read_text() == tool.make_page(tool.ROOT), 'run tools/analysis/model_zoo.py'


def test_a_model_without_results_is_not_measured(tool):
    expected = '| [tiny](../configs/tiny.py) | 3 | 1.3 | 2.5 | 3 |  | not measured |'
    assert tool.row(ENTRY) == expected


def test_results_of_the_paper_and_ours_have_columns_of_their_own(tool):
    entry = dict(
        ENTRY,
        Results=[
            {'Reported By': 'paper', 'Metrics': {'box AP': 50.2, 'box AP50': 68.2}},
            {'Metrics': {'box AP': 49.9}},
        ],
    )
    assert tool.row(entry).endswith('| box AP 50.2, box AP50 68.2 | box AP 49.9 |')


def test_every_metafile_has_a_section(tool):
    page = tool.make_page(tool.ROOT)
    for folder in ('imagenet', 'coco', 'clip', 'ablations'):
        assert f'## [configs/{folder}](../configs/{folder}/README.md)' in page
        assert (tool.ROOT / 'configs' / folder / 'README.md').is_file()


@pytest.mark.parametrize('entry', MODELS, ids=lambda entry: entry['Name'])
def test_metafiles_have_what_model_summary_counts(entry):
    cfg, about = Config.fromfile(ROOT / entry['Config']), entry['Metadata']
    parts = summarize(build_on_meta(cfg), default_shape(cfg))
    assert about['FLOPs'] == sum(part.flops or 0 for part in parts)
    assert about['Activations'] == sum(part.saved_bytes or 0 for part in parts)
