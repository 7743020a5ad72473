import json

import pytest


@pytest.fixture
def runs(lay_down_run):
    return [
        lay_down_run(setting, seed, 50.0 + seed)
        for setting, seed in (('one', 0), ('one', 1), ('two', 0))
    ]


def study(workshop, *folders):
    arguments = ('--out', 'out', '--num-images', 2, '--device', 'cpu')
    workshop.run('analysis/focus_study', *folders, *arguments)
    return json.loads((workshop.path / 'out' / 'study.json').read_text())


def test_runs_become_numbers_tables_and_figures(workshop, runs):
    found = study(workshop, *runs)
    names = [(run['setting'], run['seed'], run['accuracy']) for run in found['runs']]
    assert names == [('one', 0, 50.0), ('one', 1, 51.0), ('two', 0, 50.0)]
    assert 1 <= found['runs'][0]['field_effective_tokens'] <= 4  # 2 x 2 patches
    assert set(found['correlations']['gradient_effective_tokens']) == {
        'over_all_runs',
        'among_seeds_of_a_setting',
    }
    tables = (workshop.path / 'out' / 'tables.md').read_text()
    assert '| one | 2 | 50.5 ± 0.71 |' in tables
    written = {path.name for path in (workshop.path / 'out' / 'figures').iterdir()}
    assert written == {'layers.png', 'layers.pdf', 'accuracy.png', 'accuracy.pdf'}


def test_only_new_runs_are_measured(workshop, runs):
    first = study(workshop, *runs[:1])
    kept = workshop.path / 'out' / 'runs' / 'one_seed-0.json'
    written = kept.stat().st_mtime_ns
    second = study(workshop, *runs[:2])
    assert kept.stat().st_mtime_ns == written
    assert second['runs'][0] == first['runs'][0] and len(second['runs']) == 2


def test_runs_that_go_on_are_left_out_with_a_word(workshop, runs, capfd):
    (runs[1] / 'epoch_1.pth').unlink()
    found = study(workshop, *runs)
    assert [run['setting'] for run in found['runs']] == ['one', 'two']
    assert f'left out: {runs[1]}: no checkpoint yet' in capfd.readouterr().out


def test_without_finished_runs_there_is_no_study(workshop, runs, capfd):
    (log,) = runs[0].glob('*/vis_data/scalars.json')
    log.write_text('{"loss": 1.0, "step": 1}\n')
    with pytest.raises(SystemExit):
        workshop.run('analysis/focus_study', runs[0], workshop.data, '--out', 'out')
    told = capfd.readouterr()
    assert f'left out: {runs[0]}: no accuracy/top1 yet' in told.out
    assert f'left out: {workshop.data}: expected the one config of a run, got 0 *.py' in told.out
    assert 'error: WORK_DIR: none of these runs is finished' in told.err
