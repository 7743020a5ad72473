import pytest
import torch
from mmpretrain.models.heads import LinearClsHead

from mmdefocus.analysis.anytime import (
    Curve,
    answers_per_strip,
    as_markdown,
    by_setting,
    draw_curves,
    per_strip,
)
from mmdefocus.models import DefocusClsHead
from mmdefocus.models.heads.pooled_cls_heads import ClsAndAverageClsHead

from ..models.conftest import build_tiny

CURVES = [
    Curve('plain', 0, [0.5, 1.0], [20.0, 60.0]),
    Curve('plain', 1, [0.5, 1.0], [30.0, 62.0]),
    Curve('early', 0, [0.5, 1.0], [50.0, 58.0]),
]


@pytest.mark.parametrize(
    ('out_type', 'head'),
    [
        ('cls_token', LinearClsHead),
        ('cls_and_tokens', DefocusClsHead),
        ('cls_per_strip', ClsAndAverageClsHead),
    ],
)
def test_answers_are_those_to_images_cut_after_the_strips(out_type, head):
    torch.manual_seed(0)
    backbone = build_tiny('DefocusMamba', out_type=out_type).eval()
    head = head(num_classes=50, in_channels=16)
    for parameter in (*backbone.parameters(), head.fc.weight):
        torch.nn.init.normal_(parameter, std=0.5)
    images = torch.randn(3, 3, 32, 24)
    found = answers_per_strip(backbone, head, images)
    assert backbone.out_type == out_type
    with torch.no_grad():
        cut = [head(backbone(images[:, :, :rows])).argmax(-1) for rows in (8, 16, 24, 32)]
    assert torch.equal(found, torch.stack(cut, 1))
    assert found.unique().numel() > 2


def test_runs_of_a_setting_belong_together():
    settings = by_setting(CURVES)
    assert {name: [run.seed for run in runs] for name, runs in settings.items()} == {
        'plain': [0, 1],
        'early': [0],
    }
    assert per_strip(settings['plain']) == [(20.0, 30.0), (60.0, 62.0)]


def test_a_table_has_a_row_a_setting_and_a_column_a_strip():
    assert as_markdown(CURVES).splitlines() == [
        '| Top-1, %, after | runs | 50 % | 100 % |',
        '| --- | --- | --- | --- |',
        '| plain | 2 | 25.0 ± 7.1 | 61.0 ± 1.4 |',
        '| early | 1 | 50.0 | 58.0 |',
    ]


def test_settings_with_other_strips_have_a_table_of_their_own():
    table = as_markdown([*CURVES, Curve('sections', 0, [1.0], [55.0])])
    assert table.count('| Top-1, %, after |') == 2
    assert '| Top-1, %, after | runs | 100 % |' in table


def test_a_figure_has_a_curve_a_setting_with_deviations():
    figure = draw_curves(CURVES, chance=2.0)
    (axes,) = figure.axes
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert sorted(labels) == ['chance', 'early (1 run)', 'plain (2 runs)']
    plain, early = axes.containers
    assert plain.lines[0].get_xydata().tolist() == [[50.0, 25.0], [100.0, 61.0]]
    assert plain.has_yerr and not early.has_yerr
