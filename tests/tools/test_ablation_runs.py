"""The launcher of ablations, on two tiny classifiers."""

import json
import subprocess
import sys
from argparse import Namespace
from contextlib import ExitStack
from pathlib import Path

import pytest

from mmdefocus.utils.errors import InputError


@pytest.fixture
def tool(load_tool):
    return load_tool('analysis/ablation_runs')


@pytest.fixture
def make_config(tmp_path):
    """Writes a config of a name with a part of its training loop."""

    def make(name, extra='', **train_cfg):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        train_cfg = {'max_epochs': 9, **train_cfg}
        path.write_text(f'train_cfg = {train_cfg}\nval_dataloader = dict()\n{extra}')
        return path

    return make


@pytest.fixture
def args(tmp_path):
    """The defaults of the command line, but two epochs and one seed."""
    return Namespace(
        configs=[],
        seeds=1,
        first_seed=0,
        out=tmp_path / 'out',
        work_dir=tmp_path / 'work',
        epochs=2,
        data_root=None,
        threads=1,
        jobs=1,
    )


@pytest.fixture
def launcher(tool, args):
    """A launcher with these arguments."""
    return tool.Launcher(args)


@pytest.fixture
def left(tool, args):
    """Returns the tasks that are left of configs."""

    def left(*configs):
        args.configs = configs
        return tool.remaining(args, tool.read_runs(args.out))

    return left


@pytest.fixture
def trained(launcher, tmp_path, monkeypatch):
    """Replaces the training of a launcher; returns the tasks that it was asked for.

    A task fails if its config is named so.
    """
    asked = []

    def train(task, folder, resumed):
        asked.append((task.plan.config.stem, task.seed))
        with (folder / 'train.log').open('a') as file:
            file.write('begins\nerror: no data\n')
        log = folder / '1' / 'vis_data' / 'scalars.json'
        log.parent.mkdir(parents=True)
        lines = [{'accuracy/top1': 10.0 * epoch, 'step': epoch} for epoch in (1, 2)]
        log.write_text('\n'.join(map(json.dumps, lines)))
        return int(task.plan.config.stem == 'fails')

    monkeypatch.setattr(launcher, 'train', train)
    return asked


def test_all_configs_of_a_seed_come_before_the_next_seed(args, left, make_config):
    args.seeds = 2
    tasks = left(make_config('a.py'), make_config('b.py'))
    assert list(map(str, tasks)) == ['a seed 0', 'b seed 0', 'a seed 1', 'b seed 1']


def test_configs_of_one_name_are_refused(left, make_config):
    with pytest.raises(InputError, match='names that differ, got a 2 times'):
        left(make_config('x/a.py'), make_config('y/a.py'))


def test_a_config_that_does_not_exist_is_named(left, tmp_path):
    with pytest.raises(InputError, match=r'absent\.py: no such file'):
        left(tmp_path / 'absent.py')


def test_a_run_that_is_finished_is_not_repeated(args, left, launcher, trained, make_config):
    args.seeds, config = 2, make_config('a.py')
    assert launcher.run_all(left(config)) == 0
    assert not left(config)
    args.seeds = 3
    assert len(left(config)) == 1
    assert trained == [('a', 0), ('a', 1)]


def test_one_failing_run_is_counted_and_the_others_go_on(
    left, launcher, trained, make_config, capsys
):
    tasks = left(make_config('fails.py'), make_config('works.py'))
    assert launcher.run_all(tasks) == 1
    assert [path.name for path in launcher.args.out.iterdir()] == ['works_seed-0.json']
    message = capsys.readouterr().err
    assert 'error: no data' in message and '2 runs were left; 1 done, 1 failed' in message
    assert left(*launcher.args.configs) == tasks[:1]


def test_one_run_is_told_in_the_singular(left, launcher, trained, make_config, capsys):
    launcher.run_all(left(make_config('a.py')))
    assert '1 run was left; 1 done, 0 failed\n' in capsys.readouterr().err


def test_a_result_has_the_curve_and_the_settings(tool, args, left, launcher, trained, make_config):
    args.first_seed = 4
    (task,) = left(make_config('a.py'))
    launcher.run(task)
    (run,) = tool.read_runs(args.out)
    assert (run.config, run.seed, run.epochs) == ('a', 4, 2)
    assert run.curves == {'top1': [10.0, 20.0]}
    assert run.device == 'CPU, 1 thread'
    assert run.settings == task.plan.settings


def test_results_of_a_config_that_was_changed_are_refused(
    args, left, launcher, trained, make_config
):
    launcher.run_all(left(make_config('a.py')))
    args.first_seed = 1  # none of the results there is asked for
    with pytest.raises(InputError, match=r'out: a: expected results of .*, got some of another co'):
        left(make_config('a.py', 'lr = 1e-6'))


def test_results_of_other_epochs_are_refused(args, left, launcher, trained, make_config):
    launcher.run_all(left(make_config('a.py')))
    args.epochs = 3
    with pytest.raises(InputError, match='with 3 epochs, got some of 2 epochs; name another --out'):
        left(make_config('a.py'))


@pytest.mark.parametrize(('extra', 'epochs'), [('lr = 1e-6', 2), ('', 3)])
def test_a_work_directory_of_other_settings_is_refused(
    args, left, launcher, trained, make_config, tmp_path, extra, epochs
):
    launcher.run_all(left(make_config('a.py')))
    args.out, args.epochs = tmp_path / 'other', epochs
    with pytest.raises(InputError, match=r'work/a/seed-0: expected a training of this config'):
        left(make_config('v3/a.py', extra))


def test_a_work_directory_in_which_nothing_was_trained_takes_other_settings(
    left, launcher, make_config, monkeypatch
):
    def train(task, folder, resumed):
        (folder / 'train.log').touch()
        return 1

    monkeypatch.setattr(launcher, 'train', train)
    assert launcher.run_all(left(make_config('a.py'))) == 1
    assert len(left(make_config('a.py', 'lr = 1e-6'))) == 1


def test_a_training_of_unknown_settings_goes_on_as_such(
    tool, args, left, launcher, trained, make_config
):
    tasks = left(make_config('a.py'))
    folder = args.work_dir / 'a' / 'seed-0'
    folder.mkdir(parents=True)
    (folder / 'epoch_1.pth').touch()
    assert launcher.run_all(tasks) == 0
    assert tool.read_runs(args.out)[0].settings is None


def test_a_config_that_changes_before_its_turn_is_not_trained(
    left, launcher, trained, make_config, capsys
):
    tasks = left(make_config('a.py'))
    make_config('a.py', 'lr = 1e-6')
    assert launcher.run_all(tasks) == 1
    assert 'has changed since the start' in capsys.readouterr().err
    assert not trained


@pytest.fixture
def claim():
    """Claims a folder in another process, until the test ends."""
    code = (
        'import sys; from pathlib import Path; from mmdefocus.utils.locks import claimed\n'
        'with claimed(Path(sys.argv[1]), sys.argv[2]): print("claimed", flush=True), input()'
    )
    with ExitStack() as others:

        def claim(folder, name):
            line = [sys.executable, '-c', code, str(folder), name]
            other = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            others.enter_context(other)
            others.callback(other.stdin.close)
            other.stdout.readline()

        yield claim


def test_a_run_that_another_launcher_has_is_left_to_it(
    args, left, launcher, trained, make_config, claim, capsys
):
    tasks = left(make_config('a.py'))
    claim(args.work_dir / 'a' / 'seed-0', 'ablation.lock')
    assert launcher.run_all(tasks) == 0
    message = capsys.readouterr().err
    assert '1 run was left; 0 done, 0 failed, 1 left to another launcher' in message
    assert not trained


def test_a_training_that_has_outlived_its_launcher_is_named(
    args, left, launcher, trained, make_config, claim, capsys
):
    tasks = left(make_config('a.py'))
    claim(args.work_dir / 'a' / 'seed-0', 'training.lock')
    assert launcher.run_all(tasks) == 1
    assert 'another training runs in this folder (process' in capsys.readouterr().err
    assert not trained


def test_what_an_earlier_training_has_logged_is_not_shown(
    left, launcher, make_config, monkeypatch, capsys
):
    def train(task, folder, resumed):
        with (folder / 'train.log').open('a') as file:
            file.write('' if resumed else 'Epoch(train) [1]\n')
        (folder / 'epoch_1.pth').touch()
        return -9

    monkeypatch.setattr(launcher, 'train', train)
    tasks = left(make_config('a.py'))
    launcher.run_all(tasks)
    assert 'Epoch(train) [1]' in capsys.readouterr().err
    launcher.run_all(tasks)
    assert 'status -9: ' in (message := capsys.readouterr().err)
    assert message.splitlines()[0].endswith('empty')


def test_a_training_becomes_a_result_and_a_row(tool, workshop, capfd):
    config = workshop.config(
        "\nval_dataloader = test_dataloader\nval_evaluator = dict(type='Accuracy', topk=(1,))\n"
        'val_cfg = dict()\ntrain_cfg = dict(by_epoch=True, max_epochs=2, val_interval=1)\n'
    )
    name = Path(config).stem
    tables = workshop.path / 'tables.yml'
    tables.write_text(
        f'- {{table: All, baseline: {name}, rows: [{{setting: tiny, config: {name}}}]}}'
    )
    tool.main(
        [config, '--seeds', '1', '--out', 'out', '--work-dir', 'work', '--tables', str(tables)]
    )
    assert '| tiny | ' in capfd.readouterr().out
    (run,) = tool.read_runs(Path('out'))
    assert len(run.curves['top1']) == 2 and run.seconds > 0
    assert run.settings
