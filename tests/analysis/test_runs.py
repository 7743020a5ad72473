"""Results of ablations: in files, in logs and as tables."""

import json
from dataclasses import replace

import pytest

from mmdefocus.analysis.runs import (
    Run,
    as_markdown,
    read_curve,
    read_runs,
    result_file,
    spread,
    welch,
    with_tables,
    write_run,
)
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


def test_a_result_is_read_as_it_was_written(tmp_path):
    write_run(RUN, tmp_path)
    assert read_runs(tmp_path) == [RUN]
    assert [path.name for path in tmp_path.iterdir()] == ['mamba_seed-0.json']


def test_a_curve_that_is_empty_is_none(tmp_path):
    content = json.loads('{"top1": [1.0], "aux_top1": [], "config": "a", "seed": 0, "epochs": 1}')
    content |= {'seconds': None, 'device': 'CPU, 1 thread', 'commit': None}
    result_file(tmp_path, 'a', 0).write_text(json.dumps(content))
    assert read_runs(tmp_path)[0].curves == {'top1': [1.0]}


def test_a_file_that_is_no_result_is_named(tmp_path):
    (tmp_path / 'other.json').write_text('{"top1": [1]}')
    with pytest.raises(InputError, match=r'other\.json: expected the result of a run'):
        read_runs(tmp_path)


def test_a_file_that_is_cut_short_is_named(tmp_path):
    result_file(tmp_path, 'mamba', 0).write_text('{"top1"')
    with pytest.raises(InputError, match=r'seed-0\.json: no JSON'):
        read_runs(tmp_path)


def test_runs_of_different_length_are_not_compared(tmp_path):
    write_run(RUN, tmp_path)
    write_run(replace(RUN, seed=1, epochs=3), tmp_path)
    with pytest.raises(InputError, match='runs of one length, got 2, 3 epochs'):
        read_runs(tmp_path)


def test_rows_of_different_length_are_not_compared_unless_they_cost_as_much():
    detector = replace(RUN, config='dino', curves={'bbox_mAP': [58.0], 'bbox_mAP_50': [86.0]})
    other = replace(detector, config='rcnn', epochs=9, seconds=None)
    rows = [{'setting': 'DINO', 'config': 'dino'}, {'setting': 'R-CNN', 'config': 'rcnn'}]
    table = {'table': 'BCCD', 'metrics': ['bbox_mAP', 'bbox_mAP_50'], 'baseline': 'dino'}
    with pytest.raises(InputError, match='BCCD: expected runs of one length, got 2, 9 epochs'):
        as_markdown([{**table, 'rows': rows}], [detector, other])
    lines = as_markdown([{**table, 'rows': rows, 'cost': True}], [detector, other]).splitlines()
    assert [cells(line) for line in (lines[0], *lines[2:])] == [
        ['BCCD', 'mAP, %', 'AP50, %', 'each run', 'difference', 'p', 'minutes'],
        ['DINO', '58.0', '86.0', '58.0', 'baseline', 'baseline', '0'],
        ['R-CNN', '58.0', '86.0', '58.0', '+0.0', '', ''],
    ]


def test_of_a_repeated_epoch_the_last_log_counts(tmp_path):
    for name, scalars in (
        ('1', [{'loss': 1.0, 'step': 9}, {'top1': 10.0, 'step': 1}, {'top1': 20.0, 'step': 2}]),
        ('2', [{'top1': 21.0, 'step': 2}, {'top1': 30.0, 'step': 3}]),
    ):
        log = tmp_path / name / 'vis_data' / 'scalars.json'
        log.parent.mkdir(parents=True)
        log.write_text('\n'.join(map(json.dumps, scalars)))
    assert read_curve(tmp_path, 'top1') == [10.0, 21.0, 30.0]


def test_one_run_has_no_deviation():
    assert (spread([]), spread([50.0]), spread([49.0, 51.0])) == ('not run', '50.0', '50.0 ± 1.4')


def test_welch_test_of_samples_with_unequal_deviations():
    # t = -1.1078, 2.19 degrees of freedom
    assert welch([1.0, 2.0, 3.0], [1.0, 4.0, 10.0]) == pytest.approx(0.3747, abs=1e-4)
    assert welch([1.0], [2.0, 3.0]) is None


def test_a_table_compares_every_row_with_its_baseline():
    runs = [*runs_of('mamba', 50.0, 52.0, 51.0), *runs_of('aux', 60.0, 62.0, 61.0)]
    header, _, *rows = as_markdown([TABLE], runs).splitlines()
    assert cells(header)[0] == 'Loss'
    runs_of_cls, runs_of_aux = '50.0, 52.0, 51.0', '60.0, 62.0, 61.0'
    assert cells(rows[0]) == ['CLS', '51.0 ± 1.0', runs_of_cls, 'baseline', 'baseline', '81.6']
    assert cells(rows[1]) == ['auxiliary', '61.0 ± 1.0', runs_of_aux, '+10.0', '< 0.001', '']
    assert cells(rows[2]) == ['average', 'not run', '', '', '', '']


def test_a_difference_that_rounds_to_zero_is_not_negative():
    runs = [*runs_of('mamba', 50.0, 52.0), *runs_of('aux', 50.0, 51.98)]
    assert '| +0.0 |' in as_markdown([TABLE], runs).splitlines()[3]


def test_tables_replace_those_of_a_page():
    page = 'a\n<!-- tables -->\nold\n<!-- end of tables -->\nb\n'
    assert with_tables(page, '| new |\n') == (
        'a\n<!-- tables -->\n| new |\n<!-- end of tables -->\nb\n'
    )


def test_a_page_without_markers_is_refused():
    with pytest.raises(ValueError, match='expected the lines'):
        with_tables('a\n', '| new |\n')
