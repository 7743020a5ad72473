"""Results of trainings as tables."""

from dataclasses import replace

import pytest

from mmdefocus.analysis.run_tables import as_markdown, spread
from mmdefocus.analysis.runs import Run
from mmdefocus.utils.errors import InputError

RUN = Run('mamba', 0, 2, {'top1': [40.0, 50.0]}, 12.5, 'CPU, 1 thread', 'abc')
TABLE = {
    'table': 'Loss',
    'baseline': 'mamba',
    'rows': [
        {'setting': 'CLS', 'config': 'mamba', 'paper': 81.6},
        {'setting': 'auxiliary', 'config': 'aux'},
        {'setting': 'average', 'config': 'average'},
    ],
}


def runs_of(config, *accuracies):
    return [
        replace(RUN, config=config, seed=seed, curves={'top1': [0.0, accuracy]})
        for seed, accuracy in enumerate(accuracies)
    ]


def cells(line):
    return [cell.strip() for cell in line.strip('|').split('|')]


def test_rows_of_different_length_are_not_compared_unless_they_cost_as_much():
    detector = replace(RUN, config='dino', curves={'bbox_mAP': [58.0], 'bbox_mAP_50': [86.0]})
    other = replace(detector, config='rcnn', epochs=9, seconds=None)
    rows = [{'setting': 'DINO', 'config': 'dino'}, {'setting': 'R-CNN', 'config': 'rcnn'}]
    table = {'table': 'BCCD', 'metrics': ['bbox_mAP', 'bbox_mAP_50'], 'baseline': 'dino'}
    with pytest.raises(InputError, match='BCCD: expected runs of one length, got 2, 9 epochs'):
        as_markdown([{**table, 'rows': rows}], [detector, other])
    lines = as_markdown([{**table, 'rows': rows, 'cost': True}], [detector, other]).splitlines()
    assert [cells(line) for line in (lines[0], *lines[2:])] == [
        ['BCCD', 'mAP, %', 'AP50, %', 'each run', 'difference', 'p', 'p, Holm', 'minutes'],
        ['DINO', '58.0', '86.0', '58.0', 'baseline', 'baseline', 'baseline', '0'],
        ['R-CNN', '58.0', '86.0', '58.0', '+0.0', '', '', ''],
    ]


def test_one_run_has_no_deviation():
    assert (spread([]), spread([50.0]), spread([49.0, 51.0])) == ('not run', '50.0', '50.0 ± 1.4')


def test_a_table_compares_every_row_with_its_baseline():
    runs = [*runs_of('mamba', 50.0, 52.0, 51.0), *runs_of('aux', 60.0, 62.0, 61.0)]
    header, _, *rows = as_markdown([TABLE], runs).splitlines()
    assert cells(header)[0] == 'Loss'
    runs_of_cls, runs_of_aux = '50.0, 52.0, 51.0', '60.0, 62.0, 61.0'
    assert cells(rows[0]) == ['CLS', '51.0 ± 1.0', runs_of_cls, *['baseline'] * 3, '81.6']
    assert cells(rows[1]) == ['auxiliary', '61.0 ± 1.0', runs_of_aux, '+10.0', *['< 0.001'] * 2, '']
    assert cells(rows[2]) == ['average', 'not run', '', '', '', '', '']


def test_a_difference_that_rounds_to_zero_is_not_negative():
    runs = [*runs_of('mamba', 50.0, 52.0), *runs_of('aux', 50.0, 51.98)]
    assert '| +0.0 |' in as_markdown([TABLE], runs).splitlines()[3]


def p_values(tables, runs):
    """Returns `p` and `p, Holm` of each row."""
    lines = [cells(line) for line in as_markdown(tables, runs).splitlines() if '|' in line]
    return [tuple(line[4:6]) for line in lines if line[4] not in ('p', '---')]


def test_p_values_are_adjusted_for_the_comparisons_of_all_tables():
    runs = [*runs_of('mamba', 50.0, 52.0), *runs_of('aux', 51.0, 54.0), *runs_of('vit', 40.0, 43.0)]
    rows = [{'setting': 'ViT', 'config': 'vit'}, {'setting': 'CLS', 'config': 'mamba'}]
    tables = [TABLE, {'table': 'Peers', 'baseline': 'mamba', 'rows': rows}]
    _, (aux, aux_adjusted), _, (vit, vit_adjusted), _ = p_values(tables, runs)
    assert float(vit) < float(aux) == float(aux_adjusted)
    assert float(vit_adjusted) == pytest.approx(2 * float(vit), abs=2e-3)


def test_two_configs_that_are_compared_twice_count_once():
    runs = [*runs_of('mamba', 50.0, 52.0), *runs_of('aux', 51.0, 54.0)]
    tables = [TABLE, {**TABLE, 'baseline': 'aux'}]
    found = [row for row in p_values(tables, runs) if 'baseline' not in row and any(row)]
    assert len(found) == 2 and all(p == adjusted for p, adjusted in found)


def test_runs_that_do_not_vary_have_a_difference_and_no_p():
    runs = [*runs_of('mamba', 50.0, 50.0), *runs_of('aux', 50.0, 50.0)]
    row = cells(as_markdown([TABLE], runs).splitlines()[3])
    assert row[3:6] == ['+0.0', '', '']


def test_a_run_without_the_metric_of_its_table_is_named():
    run = replace(RUN, curves={'aux_top1': [40.0, 50.0]})
    with pytest.raises(InputError, match='mamba seed 0: expected top1'):
        as_markdown([TABLE], [run])
