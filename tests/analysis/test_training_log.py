"""What a training has logged."""

import json

import pytest

from mmdefocus.analysis.training_log import read_curve
from mmdefocus.utils.errors import InputError


def write_log(folder, *lines):
    log = folder / '1' / 'vis_data' / 'scalars.json'
    log.parent.mkdir(parents=True)
    log.write_text('\n'.join(lines))


def test_of_a_repeated_epoch_the_last_log_counts(tmp_path):
    for name, scalars in (
        ('1', [{'loss': 1.0, 'step': 9}, {'top1': 10.0, 'step': 1}, {'top1': 20.0, 'step': 2}]),
        ('2', [{'top1': 21.0, 'step': 2}, {'top1': 30.0, 'step': 3}]),
    ):
        log = tmp_path / name / 'vis_data' / 'scalars.json'
        log.parent.mkdir(parents=True)
        log.write_text('\n'.join(map(json.dumps, scalars)))
    assert read_curve(tmp_path, 'top1') == [10.0, 21.0, 30.0]


def test_a_last_line_that_was_cut_short_is_left_out(tmp_path):
    write_log(tmp_path, '{"top1": 10.0, "step": 1}', '{"top1": 2')
    assert read_curve(tmp_path, 'top1') == [10.0]


@pytest.mark.parametrize('line', ['{"top1": 2', '3'])
def test_another_damaged_line_is_named(tmp_path, line):
    write_log(tmp_path, line, '{"top1": 10.0, "step": 1}')
    with pytest.raises(InputError, match=r'scalars\.json: line 1: expected the scalars of a step'):
        read_curve(tmp_path, 'top1')
