"""What the launcher of ablations refuses before it trains."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tool(load_tool):
    return load_tool('analysis/ablation_runs')


@pytest.fixture
def error(tool, tmp_path, monkeypatch, capsys):
    """Returns the line with which the tool ends, before it has trained anything."""
    monkeypatch.setattr(tool.Launcher, 'run_all', lambda *_: pytest.fail('has trained'))

    def error(*arguments, out='out', train_cfg='dict(max_epochs=2)'):
        config = tmp_path / 'a.py'
        config.write_text(f'train_cfg = {train_cfg}\nval_dataloader = dict()\n')
        work_dir = ['--work-dir', str(tmp_path / 'work')]
        with pytest.raises(SystemExit) as stop:
            tool.main([str(config), '--out', str(tmp_path / out), *work_dir, *arguments])
        assert stop.value.code == 1
        return capsys.readouterr().err

    return error


def test_results_that_cannot_be_written_are_told_before(error, tmp_path):
    (tmp_path / 'file').touch()
    assert 'file' in error(out='file/out')


@pytest.mark.parametrize('option', ['--curves', '--work-dir'])
def test_an_output_that_cannot_be_written_is_told_before(error, tmp_path, option):
    (tmp_path / 'file').touch()
    assert f'{tmp_path}/file' in error(option, str(tmp_path / 'file' / 'x.png'))


def test_curves_that_are_a_folder_are_told_before(error, tmp_path):
    (tmp_path / 'x.png').mkdir()
    assert 'x.png: Is a directory' in error('--curves', str(tmp_path / 'x.png'))


@pytest.mark.parametrize('option', ['--tables', '--page'])
def test_a_file_that_is_missing_is_told_before(error, option):
    assert 'absent: No such file' in error(option, 'absent')


def test_a_page_without_markers_is_told_before(error, tmp_path):
    page = tmp_path / 'page.md'
    page.write_text('a\n')
    assert f'{page}: page: expected the lines' in error('--page', str(page))


def test_tables_of_another_kind_are_told_before(error):
    tables = str(ROOT / 'configs/ablations/table4.yml')
    assert 'table4.yml: table 1: expected baseline' in error('--tables', tables)


def test_a_result_that_is_damaged_is_told_before(error, tmp_path):
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'a_seed-0.json').write_text('{')
    assert 'a_seed-0.json: no JSON' in error()


def test_a_config_that_is_trained_by_iterations_is_told_before(error):
    message = error(train_cfg='dict(by_epoch=False, max_iters=9)')
    assert 'a.py: train_cfg: expected max_epochs' in message


def test_a_folder_of_results_that_does_not_exist_is_named(tool, tmp_path, capsys):
    with pytest.raises(SystemExit):
        tool.main(['--out', str(tmp_path / 'absent')])
    assert '--out: expected a folder of results' in capsys.readouterr().err


def test_curves_without_a_run_are_told(tool, tmp_path, capsys):
    tool.main(['--out', str(tmp_path), '--curves', str(tmp_path / 'x.png')])
    assert 'x.png: not written' in capsys.readouterr().err
