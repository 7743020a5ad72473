import json
from pathlib import Path

import pytest


@pytest.fixture
def tool(load_tool):
    return load_tool('analysis/ablation_table')


@pytest.fixture
def make_run(tmp_path):
    """Makes a work directory like those of the runner; returns its path."""

    def make(folder, config, *accuracies):
        work_dir = tmp_path / folder
        log = work_dir / '20260101_000000' / 'vis_data' / 'scalars.json'
        log.parent.mkdir(parents=True)
        (work_dir / f'{config}.py').touch()
        lines = [{'loss': 1.0, 'step': 1}, *({'accuracy/top1': a} for a in accuracies)]
        log.write_text('\n'.join(map(json.dumps, lines)))
        return str(work_dir)

    return make


def line_with(text, word):
    return next(line for line in text.splitlines() if word in line)


def test_runs_of_a_setting_become_mean_and_deviation_of_their_last_validation(
    tool, make_run, capsys
):
    runs = [
        make_run(str(seed), 'defocus-mamba-digits_loss-average', 10.0, last)
        for seed, last in enumerate((50.0, 52.0, 54.0))
    ]
    tool.main(runs)
    line = line_with(capsys.readouterr().out, 'average')
    assert '52.0 ± 2.0' in line
    assert '77.2' in line


def test_settings_without_runs_are_shown_as_not_run(tool, make_run, capsys):
    tool.main([make_run('one', 'defocus-mamba-digits_loss-cls', 60.0)])
    text = capsys.readouterr().out
    assert 'not run' in line_with(text, 'linear(0.1, 0.7)')
    assert '60.0' in line_with(text, 'CLS')
    assert text.count("paper's, ImageNet-1K") == 3


def test_configs_on_imagenet_have_the_same_rows(tool, make_run, capsys):
    tool.main([make_run('one', 'defocus-mamba-base_drop-path-0.7_8xb128_in1k', 80.0)])
    assert '80.0' in line_with(capsys.readouterr().out, '80.9')


def error_of(tool, capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        tool.main(list(arguments))
    return capsys.readouterr().err or str(stop.value)


def test_a_folder_without_a_run_is_named(tool, tmp_path, capsys):
    message = error_of(tool, capsys, str(tmp_path))
    assert f'{tmp_path}: expected the work directory of a run' in message


def test_a_run_without_a_validation_is_named(tool, make_run, capsys):
    run = make_run('one', 'defocus-mamba-digits_loss-cls')
    assert 'no accuracy/top1; the run has not reached a validation' in error_of(tool, capsys, run)


def test_runs_on_digits_and_on_imagenet_are_not_mixed(tool, make_run, capsys):
    runs = (
        make_run('one', 'defocus-mamba-digits_loss-cls', 60.0),
        make_run('two', 'defocus-mamba-base_loss-cls_8xb128_in1k', 80.0),
    )
    assert 'show each alone' in error_of(tool, capsys, *runs)


def test_a_run_of_another_config_is_refused(tool, make_run, capsys):
    message = error_of(tool, capsys, make_run('one', 'defocus-mamba-digits_cls', 98.0))
    assert 'none of the runs is of a config in' in message


def test_a_log_that_was_cut_short_is_read(tool, make_run, capsys):
    run = make_run('one', 'defocus-mamba-digits_loss-cls', 60.0)
    (log,) = Path(run).glob('*/vis_data/scalars.json')
    log.write_text(log.read_text() + '\n{"accuracy/t')
    tool.main([run])
    assert '60.0' in line_with(capsys.readouterr().out, 'CLS')
