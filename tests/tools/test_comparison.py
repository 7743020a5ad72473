import pytest


@pytest.fixture
def tool(load_tool):
    return load_tool('analysis/comparison')


def test_the_table_is_that_of_what_it_is_made_from(tool):
    page = tool.PAGE.read_text()
    assert tool.make_page(page) == page, 'run tools/analysis/comparison.py'


@pytest.mark.parametrize(
    ('name', 'miniature', 'benchmark'),
    [
        ('defocus-mamba-base_8xb128_in1k', 'defocus-mamba', 'defocus_mamba_base'),
        ('deit-base_causal_8xb128_in1k', 'vit-causal', 'deit_causal_base'),
        ('defocus-vit-base_noncausal_8xb128_in1k', None, 'defocus_vit_noncausal_base'),
        ('vit-large-p16_64xb64_in1k-384px', 'vit', 'vit_large'),
        ('defocus-mamba-large_in21k-pre_32xb32_in1k-384px', 'defocus-mamba', 'defocus_mamba_large'),
    ],
)
def test_what_stands_for_a_model_follows_from_its_name(tool, name, miniature, benchmark):
    assert tool.stand_ins(name) == (miniature, benchmark)


def test_miniatures_have_a_config_unless_their_family_has_none(tool):
    folder = tool.ROOT / 'configs' / 'cifar10'
    for miniature in filter(None, tool.MINIATURES.values()):
        assert (folder / f'{miniature}_cifar10.py').is_file()
