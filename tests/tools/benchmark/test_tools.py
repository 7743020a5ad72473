"""What the tools for operators and for whole models have in common."""

import io
import sys
from contextlib import redirect_stdout

import cv2
import numpy as np
import pytest
import torch

from mmdefocus.utils.memory import keeps_freed_memory

linux = pytest.mark.skipif(sys.platform != 'linux', reason='peak memory is measured on Linux')


@pytest.fixture(scope='module')
def ops(measure, tmp_path_factory):
    options = ('--op', 'selective_scan', '--backends', 'torch', 'naive', '--shape', '1,9,64,4')
    return measure('ops', tmp_path_factory.mktemp('ops'), *options, '--repeats', '2')


@pytest.fixture(scope='module')
def throughput(measure, tmp_path_factory):
    options = ('--models', 'defocus_mamba_tiny', '--resolutions', '32', '--batch-size', '2')
    folder = tmp_path_factory.mktemp('throughput')
    return measure('throughput', folder, *options, '--train', '--repeats', '2')


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
def test_batch_is_given_or_has_the_pixels_of_four_images_of_224(load_tool, options, expected):
    tool = load_tool('benchmark/throughput')
    parser = tool.Parser('')
    tool.add_arguments(parser)
    args = parser.parse_args(['--resolutions', '224', '448', '1024', *options])
    tool.settle(args)
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
    out = request.getfixturevalue(tool).out
    assert (out / f'{tool}.png').read_bytes().startswith(b'\x89PNG')
    assert sorted(path.name for path in out.iterdir()) == [f'{tool}.csv', f'{tool}.png']


@linux
def test_memory_of_a_training_step_holds_weights_gradients_and_averages(throughput):
    parameters = 7.0e6  # of DefocusMamba-tiny with its head, rounded down
    assert float(throughput.rows[0]['peak_mib']) > 4 * parameters * 4 / 2**20


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
        ('throughput', ['--cuda-graph'], ['--cuda-graph', '--device cuda']),
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


def test_streaming_measures_strips_and_forward(load_tool, tmp_path, capsys):
    cv2.imwrite(str(tmp_path / 'tile.png'), np.full((8, 8, 3), 90, np.uint8))
    tool = load_tool('benchmark/streaming')
    options = [str(tmp_path), '--small', '--patch-size', '128', '--sizes', '1024']
    for way in ([], ['--at-once', '--repeats', '1']):
        tool.main([*options, *way])
        (line,) = [row for row in capsys.readouterr().out.splitlines() if row.startswith('1024² ')]
        size, tokens, seconds, peak = line.split()
        assert (size, tokens) == ('1024²', '64')
        assert float(seconds) >= 0 and float(peak) > 0.1


@pytest.mark.parametrize('size', ['512', '3000', '65536'])
def test_streaming_names_sizes_without_strips_of_a_megapixel(load_tool, tmp_path, capsys, size):
    cv2.imwrite(str(tmp_path / 'tile.png'), np.full((8, 8, 3), 90, np.uint8))
    with pytest.raises(SystemExit):
        load_tool('benchmark/streaming').main([str(tmp_path), '--small', '--sizes', size])
    assert f'--sizes: expected powers of two from 1024 to 32768, got {size}' in (
        capsys.readouterr().err
    )
