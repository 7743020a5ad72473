import pytest

from mmdefocus.analysis.run_curves import draw_learning_curves
from mmdefocus.analysis.runs import Run

TABLES = [
    {
        'table': 'Loss',
        'baseline': 'mamba',
        'rows': [
            {'setting': 'CLS', 'config': 'mamba'},
            {'setting': 'auxiliary', 'config': 'aux'},
            {'setting': 'average', 'config': 'average'},
        ],
    },
    {'table': 'ViT', 'baseline': 'vit', 'rows': [{'setting': 'causal', 'config': 'vit'}]},
]


def run(config, seed, *top1):
    return Run(config, seed, len(top1), {'top1': list(top1)}, None, 'CPU, 1 thread', None)


@pytest.fixture
def figure():
    runs = [run('mamba', 0, 40.0, 50.0), run('mamba', 1, 42.0, 56.0), run('aux', 0, 41.0, 60.0)]
    return draw_learning_curves(TABLES, runs)


def test_a_table_of_which_something_was_run_has_a_panel(figure):
    assert [axes.get_title() for axes in figure.axes] == ['Loss']


def test_a_line_is_the_mean_of_the_runs_of_a_setting(figure):
    lines = [container.lines[0] for container in figure.axes[0].containers]
    assert [list(line.get_xdata()) for line in lines] == [[1, 2], [1, 2]]
    assert [list(line.get_ydata()) for line in lines] == [[41.0, 53.0], [41.0, 60.0]]


def test_the_bars_of_several_runs_are_their_deviations(figure):
    several, one = figure.axes[0].containers
    heights = [high - low for (_, low), (_, high) in several.lines[2][0].get_segments()]
    assert heights == pytest.approx([2 * 2**0.5, 2 * 18**0.5])
    assert not one.has_yerr


def test_the_legend_says_how_many_runs_a_setting_has(figure):
    texts = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert texts == ['CLS (2)', 'auxiliary (1)']


def test_without_a_run_there_is_no_figure():
    assert draw_learning_curves(TABLES, []) is None


def test_validations_in_some_epochs_are_counted_as_such():
    table = {**TABLES[1], 'metrics': ['bbox_mAP', 'bbox_mAP_50']}
    curves = {'bbox_mAP': [40.0, 58.0], 'bbox_mAP_50': [60.0, 85.0]}
    detector = Run('vit', 0, 20, curves, None, 'CPU, 1 thread', None)
    (axes,) = draw_learning_curves([table], [detector]).axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ('validation', 'mAP, %')
    assert list(axes.containers[0].lines[0].get_ydata()) == [40.0, 58.0]
