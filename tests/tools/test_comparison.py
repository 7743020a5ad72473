import pytest

from mmdefocus.analysis.pages import page_with_tables


@pytest.fixture
def tool(load_tool):
    return load_tool('analysis/comparison')


def test_the_table_is_that_of_what_it_is_made_from(tool):
    page = page_with_tables(tool.PAGE, tool.make_table())
    assert page == tool.PAGE.read_text(), 'run tools/analysis/comparison.py'


@pytest.mark.parametrize(
    ('name', 'miniature'),
    [
        ('defocus-mamba-base_8xb128_in1k', 'defocus-mamba'),
        ('deit-base_causal_8xb128_in1k', 'vit-causal'),
        ('defocus-vit-base_noncausal_8xb128_in1k', 'defocus-vit-noncausal'),
        ('vit-large-p16_64xb64_in1k-384px', 'vit'),
        ('defocus-mamba-large_in21k-pre_32xb32_in1k-384px', 'defocus-mamba'),
    ],
)
def test_miniature_follows_from_the_name_of_the_model(tool, name, miniature):
    assert tool.miniature(name) == miniature


def test_miniatures_have_a_config_unless_their_family_has_none(tool):
    folder = tool.ROOT / 'configs' / 'cifar10'
    for miniature in filter(None, tool.MINIATURES.values()):
        assert (folder / f'{miniature}_cifar10.py').is_file()
