import json

import pytest


@pytest.fixture
def runs(lay_down_run):
    return [lay_down_run(setting, seed, 50.0) for setting, seed in (('one', 0), ('one', 1))]


def test_runs_become_curves(workshop, runs, capfd):
    workshop.run('analysis/anytime', *runs, '--out', 'out', '--device', 'cpu')
    out = workshop.path / 'out'
    first, second = json.loads((out / 'anytime.json').read_text())['curves']
    assert (first['setting'], first['seed'], second['seed']) == ('one', 0, 1)
    assert first['shares'] == [0.5, 1.0]
    assert first['accuracies'] == second['accuracies']  # of the same weights
    assert all(0 <= accuracy <= 100 for accuracy in first['accuracies'])
    table = (out / 'anytime.md').read_text()
    assert '| one | 2 |' in table and table in capfd.readouterr().out
    assert (out / 'anytime.png').stat().st_size > 1000


def test_the_last_accuracy_is_that_of_the_test(workshop, runs, trained):
    workshop.run('analysis/anytime', runs[0], '--out', 'out', '--device', 'cpu')
    workshop.run('test', workshop.config(), trained, '--out', 'metrics.json')
    (curve,) = json.loads((workshop.path / 'out' / 'anytime.json').read_text())['curves']
    metrics = json.loads((workshop.path / 'metrics.json').read_text())
    assert curve['accuracies'][-1] == pytest.approx(metrics['accuracy/top1'])
