import pytest

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
