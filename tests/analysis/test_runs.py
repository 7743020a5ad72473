"""Results of trainings in files."""

import json
from dataclasses import replace

import pytest

from mmdefocus.analysis.runs import Run, read_runs, result_file, write_run
from mmdefocus.utils.errors import InputError

RUN = Run('mamba', 0, 2, {'top1': [40.0, 50.0]}, 12.5, 'CPU, 1 thread', 'abc')


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


def test_a_result_without_settings_is_read(tmp_path):
    write_run(RUN, tmp_path)
    path = result_file(tmp_path, 'mamba', 0)
    content = json.loads(path.read_text())
    del content['settings']
    path.write_text(json.dumps(content))
    assert read_runs(tmp_path) == [RUN]


def test_a_copy_of_a_result_is_refused(tmp_path):
    write_run(RUN, tmp_path)
    copy = tmp_path / 'mamba_seed-0 (copy).json'
    copy.write_text(result_file(tmp_path, 'mamba', 0).read_text())
    with pytest.raises(InputError, match=r'\(copy\)\.json: expected the name mamba_seed-0\.json'):
        read_runs(tmp_path)


def test_a_file_that_is_no_text_is_named(tmp_path):
    result_file(tmp_path, 'mamba', 0).write_bytes(b'\xff')
    with pytest.raises(InputError, match=r'seed-0\.json: no JSON'):
        read_runs(tmp_path)


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        *[('top1', value) for value in ('abc', [None], 5, [float('nan')], [float('inf')], [])],
        *[('config', ['mamba']), ('seed', '0'), ('epochs', None), ('seconds', 'long')],
        *[('device', None), ('settings', 3), ('top2', [1.0])],
    ],
)
def test_what_is_no_result_is_named(tmp_path, name, value):
    write_run(RUN, tmp_path)
    path = result_file(tmp_path, 'mamba', 0)
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))
    with pytest.raises(InputError, match=f'expected the result of a run, .* got .*{name}'):
        read_runs(tmp_path)


def test_runs_with_more_validations_than_others_are_not_compared(tmp_path):
    write_run(RUN, tmp_path)
    write_run(replace(RUN, seed=1, curves={'top1': [50.0]}), tmp_path)
    with pytest.raises(InputError, match='as many validations in each run, got 1, 2'):
        read_runs(tmp_path)


def test_runs_of_other_settings_are_not_compared(tmp_path):
    write_run(replace(RUN, settings='old'), tmp_path)
    write_run(replace(RUN, seed=1, settings='new'), tmp_path)
    with pytest.raises(InputError, match='mamba: expected runs of the same settings'):
        read_runs(tmp_path)


def test_runs_whose_settings_are_not_known_are_compared(tmp_path):
    runs = [RUN, replace(RUN, seed=1, settings='new')]
    for run in runs:
        write_run(run, tmp_path)
    assert read_runs(tmp_path) == runs


def test_a_metric_that_a_run_lacks_is_named():
    with pytest.raises(InputError, match='mamba seed 0: expected bbox_mAP in its result, got top1'):
        RUN.last('bbox_mAP')
