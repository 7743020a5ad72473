import csv
from collections import Counter

import pytest
import torch

TOOL = 'benchmark/detector'
SMALL = ('--size', 64, 64, '--batch-size', 1, '--repeats', 1, '--threads', 1, '--out', 'out')
OURS = {'selective_scan', 'causal_conv1d', 'gated_group_rms_norm'}


@pytest.fixture
def profile(workshop, detector):
    """Profiles a tiny detector in a mode; returns the rows."""

    def profile(mode):
        threads = torch.get_num_threads()
        workshop.run(TOOL, detector.config, f'--{mode}', *SMALL)
        torch.set_num_threads(threads)
        with (workshop.path / 'out' / 'detector.csv').open() as file:
            return list(csv.DictReader(file))

    return profile


def sums(rows, key, column):
    found = Counter()
    for row in rows:
        found[row[key]] += float(row[column])
    return found


def test_training_step_is_the_sum_of_its_parts(profile):
    rows = profile('train')
    assert sum(float(row['share']) for row in rows) == pytest.approx(1)
    assert len({(row['part'], row['kind']) for row in rows}) == len(rows)
    forward_and_backward = sums(rows, 'part', 'ms')
    backward = sums(rows, 'part', 'backward_ms')
    for part in ('backbone', 'neck', 'encoder', 'decoder', 'head and losses'):
        assert 0 < backward[part] < forward_and_backward[part]
    for part in ('optimizer', 'matching', 'preprocessing'):
        assert backward[part] == 0 < forward_and_backward[part]
    kinds = {row['kind']: float(row['backward_ms']) for row in rows if row['part'] == 'backbone'}
    assert all(kinds[kind] > 0 for kind in OURS | {'matrix products', 'convolutions'})
    attending = {row['part'] for row in rows if row['kind'] == 'deformable attention'}
    assert attending == {'encoder', 'decoder'}


def test_inference_has_neither_backward_nor_optimizer(profile):
    rows = profile('infer')
    assert sum(float(row['share']) for row in rows) == pytest.approx(1)
    assert not any(float(row['backward_ms']) for row in rows)
    assert {row['kind'] for row in rows if row['part'] == 'backbone'} > OURS
    assert not {'optimizer', 'matching'} & {row['part'] for row in rows}


def test_classifier_is_no_detector(workshop):
    config = workshop.config()
    assert workshop.error(TOOL, config, *SMALL) == (
        f"{config}: expected a detector, default_scope mmdet, found 'mmpretrain'"
    )
