import csv
import importlib.util
import io
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from rich.progress import Progress
from torch import nn

from mmdefocus.benchmark.measure import interleave, peak_memory_alone
from mmdefocus.benchmark.models import Classifier, LinearCalls, make_linear_step
from mmdefocus.benchmark.operators import OPERATORS, Shape, candidates
from mmdefocus.utils.memory import keeps_freed_memory

TOOLS = Path(__file__).parents[2] / 'tools' / 'benchmark'

linux = pytest.mark.skipif(sys.platform != 'linux', reason='peak memory is measured on Linux')


def load(tool):
    spec = importlib.util.spec_from_file_location(tool, TOOLS / f'{tool}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(tool, out, *arguments):
    """Runs a tool once; returns what it prints and writes."""
    threads = torch.get_num_threads()
    printed = io.StringIO()
    with redirect_stdout(printed):
        load(tool).main([*arguments, '--repeats', '2', '--threads', '1', '--out', str(out)])
    torch.set_num_threads(threads)
    with (out / f'{tool}.csv').open() as file:
        rows = list(csv.DictReader(file))
    return SimpleNamespace(printed=printed.getvalue(), rows=rows, plot=out / f'{tool}.png')


@pytest.fixture(scope='module')
def ops(tmp_path_factory):
    options = ('--op', 'selective_scan', '--backends', 'torch', 'naive', '--shape', '1,9,64,4')
    return run('ops', tmp_path_factory.mktemp('ops'), *options)


@pytest.fixture(scope='module')
def throughput(tmp_path_factory):
    options = ('--models', 'defocus_mamba_tiny', '--resolutions', '32', '--batch-size', '2')
    return run('throughput', tmp_path_factory.mktemp('throughput'), *options, '--train')


def test_ops_measures_every_backend_in_every_phase(ops):
    found = [(row['backend'], row['phase']) for row in ops.rows]
    phases = ('forward', 'backward', 'both')
    assert found == [(name, phase) for name in ('torch', 'naive') for phase in phases]


def test_throughput_measures_the_step_and_its_linear_layers(throughput):
    (row,) = throughput.rows
    assert (row['model'], row['mode'], row['resolution']) == ('defocus_mamba_tiny', 'train', '32')
    assert float(row['times_linear']) > 1
    assert float(row['images_per_s']) == pytest.approx(2e3 / float(row['median_ms']))


@pytest.mark.parametrize(
    ('options', 'expected'), [([], [4, 1, 1]), (['--batch-size', '3'], [3, 3, 3])]
)
def test_batch_is_given_or_has_the_pixels_of_four_images_of_224(options, expected):
    args = load('throughput').parse_args(['--resolutions', '224', '448', '1024', *options])
    assert args.batch_size == expected


@pytest.mark.parametrize('tool', ['ops', 'throughput'])
def test_rows_tell_the_spread_and_what_they_depend_on(request, tool):
    for row in request.getfixturevalue(tool).rows:
        assert 0 < float(row['min_ms']) <= float(row['median_ms']) <= float(row['max_ms'])
        assert (row['repeats'], row['threads'], row['dtype']) == ('2', '1', 'float32')
        assert row['torch'] == torch.__version__
        assert row['cpu']


@pytest.mark.parametrize('tool', ['ops', 'throughput'])
def test_table_shows_the_environment_and_the_numbers(request, tool):
    result = request.getfixturevalue(tool)
    memory = 'kept' if keeps_freed_memory() else 'returned'
    assert f'threads 1, memory {memory}, torch {torch.__version__}' in result.printed
    assert f'{float(result.rows[0]["median_ms"]):.4g}' in result.printed


@pytest.mark.parametrize('tool', ['ops', 'throughput'])
def test_plot_is_a_png_and_nothing_lies_beside(request, tool):
    plot = request.getfixturevalue(tool).plot
    assert plot.read_bytes().startswith(b'\x89PNG')
    assert sorted(path.name for path in plot.parent.iterdir()) == [f'{tool}.csv', f'{tool}.png']


@linux
def test_memory_of_a_training_step_holds_weights_gradients_and_averages(throughput):
    parameters = 7.0e6  # of DefocusMamba-tiny with its head, rounded down
    assert float(throughput.rows[0]['peak_mib']) > 4 * parameters * 4 / 2**20


@linux
def test_added_peak_memory_counts_what_is_taken_and_not_what_was_freed():
    code = (
        'import torch\n'
        'from mmdefocus.benchmark.measure import added_peak_memory\n'
        'torch.ones(2**22)\n'
        'torch.ones(2**25)\n'
        'print(added_peak_memory(lambda: torch.ones(2**24)))\n'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert int(done.stdout) / 2**20 == pytest.approx(64, abs=4)


@linux
@pytest.mark.parametrize(
    ('code', 'timeout', 'expected'),
    [
        ('print("imported")\nprint(12)', None, 12),
        ('raise MemoryError', None, 'not enough memory'),
        ('raise SystemExit("error: no such thing")', None, 'error: no such thing'),
        ('import time\ntime.sleep(60)', 1, 'a repetition takes more than 1 s'),
    ],
)
def test_peak_memory_alone_returns_bytes_or_a_reason(tmp_path, code, timeout, expected):
    script = tmp_path / 'script.py'
    script.write_text(code)
    assert peak_memory_alone(str(script), [], timeout) == expected


def test_candidates_take_turns_after_a_warm_up():
    turns = []

    def repetition(name):
        turns.append(name)
        return {'step': float(len(turns))}

    seconds = interleave(
        {'A': lambda: repetition('A'), 'B': lambda: repetition('B')}, 2, 60, Progress(disable=True)
    )
    assert turns == ['A', 'B'] * 3
    assert seconds == {'A': {'step': [3.0, 5.0]}, 'B': {'step': [4.0, 6.0]}}


def test_candidate_over_its_budget_is_measured_once():
    samples = interleave({'A': lambda: {'step': 1.0}}, 5, 0, Progress(disable=True))
    assert samples == {'A': {'step': [1.0]}}


@pytest.mark.parametrize(
    ('operator', 'peer', 'dtype', 'tolerance'),
    [
        ('selective_scan', 'mambapy', torch.float64, 1e-10),
        ('selective_scan', 'mamba_ssm', torch.float32, 1e-4),
        ('causal_conv1d', 'Conv1d', torch.float64, 1e-10),
    ],
)
def test_peer_computes_the_same(operator, peer, dtype, tolerance):
    found = candidates(operator)
    if isinstance(found[peer], str):
        pytest.skip(found[peer])
    torch.manual_seed(0)
    inputs, gradient = OPERATORS[operator].arguments(Shape(2, 11, 64, 4), dtype)
    inputs = [x.requires_grad_() for x in inputs]
    results = []
    for function in (found['naive'], found[peer]):
        y = function(*inputs)
        results.append([y, *torch.autograd.grad(y, inputs, gradient)])
    torch.testing.assert_close(results[1], results[0], rtol=tolerance, atol=tolerance)


def test_linear_step_runs_each_linear_layer_at_its_shape():
    model = nn.Sequential(nn.Conv2d(3, 4, 2, 2), nn.Flatten(2), nn.Linear(16, 5), nn.Linear(5, 2))
    step = make_linear_step(model, 'train', torch.randn(2, 3, 8, 8))
    with LinearCalls() as linear:
        step()
    shapes = [(tuple(shape), len(weights[0])) for _, shape, weights in linear.calls]
    assert shapes == [((2, 3, 8, 8), 4), ((2, 4, 16), 5), ((2, 4, 5), 2)]
    assert all(parameter.grad is None for parameter in model.parameters())


def test_linear_step_has_the_layers_that_are_called_as_functions():
    model = Classifier('DefocusMamba', 'tiny', 32)
    step = make_linear_step(model, 'infer', torch.randn(1, 3, 32, 32))
    with LinearCalls() as linear:
        step()
    mixer = model.backbone.blocks[0].mixer
    weights = [weights[0] for _, _, weights in linear.calls]
    for layer in (mixer.in_proj, mixer.x_proj, mixer.dt_proj, mixer.out_proj, model.head):
        assert sum(layer.weight is weight for weight in weights) == 1


@pytest.mark.parametrize(
    ('tool', 'arguments', 'words'),
    [
        ('ops', ['--backends', 'cuda9'], ['--backends', "'cuda9'", 'naive']),
        ('ops', ['--op', 'scan'], ['--op', "'scan'", 'selective_scan']),
        ('ops', ['--shape', '4,197'], ['--shape', "'4,197'", 'B,L,D,N']),
        ('ops', ['--shape', '4,0,8,8'], ['--shape', 'at least 1', "'0'"]),
        ('ops', ['--lengths', 'many'], ['--lengths', "'many'"]),
        ('throughput', ['--models', 'resnet'], ['--models', "'resnet'", 'deit_base']),
        (
            'throughput',
            ['--resolutions', '32', '--batch-size', '1', '2'],
            ['--batch-size', 'one for each resolution', '2'],
        ),
    ],
)
def test_bad_argument_is_one_line(workshop, tool, arguments, words):
    message = workshop.error(f'benchmark/{tool}', *arguments)
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ('tool', 'arguments', 'package'),
    [
        ('ops', ['--op', 'selective_scan', '--backends', 'mambapy'], 'mambapy'),
        ('ops', ['--op', 'retention', '--backends', 'fla'], 'fla'),
        ('throughput', ['--models', 'deit_tiny'], 'timm'),
    ],
)
def test_package_that_is_not_installed_is_skipped_with_a_word(
    workshop, monkeypatch, tool, arguments, package
):
    monkeypatch.setitem(sys.modules, package, None)
    printed = io.StringIO()
    with redirect_stdout(printed):
        message = workshop.error(f'benchmark/{tool}', *arguments)
    assert 'none of those that are wanted can run' in message
    assert 'is skipped' in printed.getvalue() and package in printed.getvalue()
