"""The launcher of ablations, on two tiny classifiers."""

import json
import subprocess
from argparse import Namespace
from pathlib import Path

import pytest
from mmengine.config import Config

from mmdefocus.utils.errors import InputError


@pytest.fixture
def tool(load_tool):
    return load_tool('analysis/ablation_runs')


@pytest.fixture
def make_config(tmp_path):
    """Writes a config of a name with a part of its training loop."""

    def make(name, **train_cfg):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'train_cfg = {train_cfg}')
        return path

    return make


@pytest.fixture
def launcher(tool, tmp_path):
    """A launcher with the defaults of the command line."""
    return tool.Launcher(
        Namespace(
            out=tmp_path / 'out',
            work_dir=tmp_path / 'work',
            epochs=2,
            data_root=None,
            threads=1,
            jobs=1,
        )
    )


@pytest.fixture
def trained(launcher, tmp_path, monkeypatch):
    """Replaces the training of a launcher; returns the tasks that it was asked for.

    A task fails if its config is named so.
    """
    asked = []

    def train(task, folder, resumed):
        asked.append((task.config.stem, task.seed))
        (folder / 'train.log').write_text('begins\nerror: no data\n')
        log = folder / '1' / 'vis_data' / 'scalars.json'
        log.parent.mkdir(parents=True)
        lines = [{'accuracy/top1': 10.0 * epoch, 'step': epoch} for epoch in (1, 2)]
        log.write_text('\n'.join(map(json.dumps, lines)))
        return int(task.config.stem == 'fails')

    monkeypatch.setattr(launcher, 'train', train)
    return asked


def test_all_configs_of_a_seed_come_before_the_next_seed(tool, make_config, tmp_path):
    configs = [make_config('a.py'), make_config('b.py')]
    tasks = tool.remaining(configs, range(2), tmp_path)
    assert [(task.config.stem, task.seed) for task in tasks] == [
        *(('a', 0), ('b', 0)),
        *(('a', 1), ('b', 1)),
    ]


def test_configs_of_one_name_are_refused(tool, make_config, tmp_path):
    with pytest.raises(InputError, match='names that differ, got a twice'):
        tool.remaining([make_config('x/a.py'), make_config('y/a.py')], range(1), tmp_path)


def test_a_config_that_does_not_exist_is_named(tool, tmp_path):
    with pytest.raises(InputError, match=r'absent\.py: no such file'):
        tool.remaining([tmp_path / 'absent.py'], range(1), tmp_path)


def test_a_run_that_is_finished_is_not_repeated(tool, launcher, trained, make_config):
    configs, seeds, out = [make_config('a.py')], range(2), launcher.args.out
    assert launcher.run_all(tool.remaining(configs, seeds, out)) == 0
    assert not tool.remaining(configs, seeds, out)
    assert len(tool.remaining(configs, range(3), out)) == 1
    assert trained == [('a', 0), ('a', 1)]


def test_one_failing_run_is_counted_and_the_others_go_on(
    tool, launcher, trained, make_config, capsys
):
    configs = [make_config('fails.py'), make_config('works.py')]
    tasks = tool.remaining(configs, range(1), launcher.args.out)
    assert launcher.run_all(tasks) == 1
    assert [path.name for path in launcher.args.out.iterdir()] == ['works_seed-0.json']
    message = capsys.readouterr().err
    assert 'error: no data' in message and '1 done, 1 failed' in message
    assert tool.remaining(configs, range(1), launcher.args.out) == tasks[:1]


def test_a_result_has_the_curve(tool, launcher, trained, make_config):
    launcher.run(tool.Task(make_config('a.py'), 4))
    (run,) = tool.read_runs(launcher.args.out)
    assert (run.config, run.seed, run.epochs) == ('a', 4, 2)
    assert run.curves == {'top1': [10.0, 20.0]}
    assert run.device == 'CPU, 1 thread'


def write_validations(folder, *validations):
    """Writes the log of a detector: epochs, each with its mAP and AP50."""
    log = folder / '1' / 'vis_data' / 'scalars.json'
    log.parent.mkdir(parents=True)
    keys = ('step', 'coco/bbox_mAP', 'coco/bbox_mAP_50')
    log.write_text('\n'.join(json.dumps(dict(zip(keys, v, strict=True))) for v in validations))


def test_a_detector_has_a_validation_in_some_epochs_and_in_the_last(
    tool, launcher, make_config, tmp_path
):
    launcher.args.epochs = None
    task = tool.Task(make_config('dino.py', max_epochs=5, val_interval=2), 0)
    write_validations(tmp_path / 'log', (2, 0.1, 0.3), (4, 0.4, 0.6), (5, 0.583, 0.855))
    run = launcher.result(task, tmp_path / 'log', 60.0)
    assert run.curves == {'bbox_mAP': [10.0, 40.0, 58.3], 'bbox_mAP_50': [30.0, 60.0, 85.5]}


@pytest.mark.parametrize('validations', [[], [(2, 0.1, 0.3)]])
def test_a_run_that_lacks_validations_is_no_result(
    tool, launcher, make_config, tmp_path, validations
):
    launcher.args.epochs = None
    task = tool.Task(make_config('dino.py', max_epochs=4, val_interval=2), 0)
    write_validations(tmp_path / 'log', *validations)
    message = f'expected 2 validations in 4 epochs, got {len(validations)}'
    with pytest.raises(InputError, match=message):
        launcher.result(task, tmp_path / 'log', 60.0)


def test_a_run_that_another_launcher_has_is_left_to_it(tool, launcher, trained, make_config):
    task = tool.Task(make_config('a.py'), 0)
    code = (
        'import sys; from pathlib import Path; from mmdefocus.utils.locks import claimed\n'
        'with claimed(Path(sys.argv[1]), "ablation.lock"): print("claimed", flush=True), input()'
    )
    folder = launcher.args.work_dir / 'a' / 'seed-0'
    line = [tool.sys.executable, '-c', code, str(folder)]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        assert launcher.run(task) is None
        other.communicate(b'\n')
    assert not trained


def test_data_are_moved_with_what_their_roots_share(tool):
    dataset = dict(type='Folders', data_root='data/cifar10/test')
    cfg = Config(
        dict(
            train_dataloader=dict(
                dataset=dict(
                    type='RepeatDataset', dataset=dict(dataset, data_root='data/cifar10/train')
                )
            ),
            val_dataloader=dict(dataset=dataset),
        )
    )
    assert tool.data_options(cfg, Path('/d')) == {
        'train_dataloader.dataset.dataset.data_root': '/d/train',
        'val_dataloader.dataset.data_root': '/d/test',
    }


def test_the_truth_of_an_evaluator_is_moved_with_the_data(tool):
    dataset = dict(data_root='data/bccd/', ann_file='coco/test.json')
    cfg = Config(
        dict(
            test_dataloader=dict(dataset=dataset),
            test_evaluator=[
                dict(ann_file='data/bccd/coco/test.json'),
                dict(ann_file='data/b.json'),
            ],
        )
    )
    assert tool.data_options(cfg, Path('/d')) == {
        'test_dataloader.dataset.data_root': '/d',
        'test_evaluator.0.ann_file': '/d/coco/test.json',
    }


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
