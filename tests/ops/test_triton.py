"""Without a GPU, the tests of the Triton backends run interpreted, in a process of their own."""

import csv
import importlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from mmdefocus.ops import available_backends, selective_scan
from mmdefocus.ops.triton_support import interpreted, too_old

pytest.importorskip('triton')
needs_new_triton = pytest.mark.skipif(too_old() is not None, reason=str(too_old()))

INTERPRETED_TESTS = (
    'triton and (equals or dtype or strides or extreme or nan_ or rules or formula or compiles'
    ' or second_backward or inference or bias)'
)
MODULES = (
    'apply_rotary',
    'bi_wkv',
    'selective_scan',
    'gated_selective_scan',
    'gated_group_rms_norm',
    'causal_conv1d',
    'retention',
    'decayed_attention',
    'ms_deform_attn',
    'state',
    'triton',
)
FOLDER = Path(__file__).parent
INPUTS = (torch.ones(1, 2, 3),) * 2 + (-torch.ones(2, 4),) + (torch.ones(1, 4, 3),) * 2


def run_interpreted(module):
    """Triton reads the variable when it is imported. An interpreter is too slow for all tests."""
    path = FOLDER / f'test_{module}.py'
    command = [sys.executable, '-m', 'pytest', path, '-k', INTERPRETED_TESTS]
    environment = os.environ | {'TRITON_INTERPRET': '1', 'OMP_NUM_THREADS': '1'}
    return subprocess.run(command, env=environment, capture_output=True, text=True)


@pytest.fixture(scope='module')
def runs(request):
    """The runs of all modules that are asked for, one on each core: they take minutes."""
    items = [item for item in request.session.items if item.path == request.path]
    asked_for = [item.callspec.params['module'] for item in items if 'runs' in item.fixturenames]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield {module: pool.submit(run_interpreted, module) for module in asked_for}


@needs_new_triton
@pytest.mark.skipif(torch.cuda.is_available(), reason='they run on the GPU')
@pytest.mark.skipif(interpreted(), reason='they run in this process')
@pytest.mark.parametrize('module', MODULES)
def test_the_backends_pass_their_tests_interpreted(module, runs):
    done = runs[module].result()
    assert done.returncode == 0, done.stdout
    assert ' passed' in done.stdout


@needs_new_triton
def test_auto_never_interprets():
    code = (
        'from mmdefocus.ops import available_backends, retention; import torch; '
        'assert available_backends("cpu")["retention"]["triton"] == "available"; '
        'q = torch.ones(1, 1, 3, 2, requires_grad=True); '
        'assert "triton" not in retention(q, q, q, -torch.ones(1)).grad_fn.__class__.__name__'
    )
    environment = os.environ | {'TRITON_INTERPRET': '1'}
    environment.pop('MMDEFOCUS_BACKEND', None)
    subprocess.run([sys.executable, '-c', code], env=environment, check=True)


@pytest.mark.compiler
@needs_new_triton
def test_the_first_calls_may_be_compiled_ones_without_a_graph_break():
    """The kernels of each operator are imported while the whole is traced."""
    code = (
        'import torch; from mmdefocus.ops import apply_rotary, causal_conv1d, retention\n'
        'def mix(x):\n'
        '    x = causal_conv1d(x, torch.ones(4, 3), torch.ones(4), backend="triton")\n'
        '    q = apply_rotary(x[:, None], torch.ones(4), torch.arange(5), backend="triton")\n'
        '    return retention(q, q, q, -torch.ones(1), backend="triton")\n'
        'torch.compile(mix, fullgraph=True, backend="eager")(torch.randn(1, 5, 4))'
    )
    environment = os.environ | {'TRITON_INTERPRET': '1'}
    subprocess.run([sys.executable, '-c', code], env=environment, check=True)


@pytest.mark.skipif(interpreted(), reason='then it can run')
def test_on_a_cpu_the_reason_is_told():
    assert 'TRITON_INTERPRET=1' in available_backends('cpu')['selective_scan']['triton']
    with pytest.raises(ValueError, match="'triton' cannot run selective_scan on cpu: is for GPUs"):
        selective_scan(*INPUTS, backend='triton')


@pytest.mark.gpu
@pytest.mark.skipif(not (interpreted() or torch.cuda.is_available()), reason='needs Triton to run')
@pytest.mark.parametrize(
    'triton', ['scan', 'convolution', 'norm', 'rotary', 'attention', 'deformable']
)
def test_custom_operator_keeps_the_rules_of_torch(triton):
    """Its kernel for shapes says what it returns, so that torch.compile and torch.export work."""
    device = 'cpu' if interpreted() else 'cuda'
    generator = torch.Generator().manual_seed(0)

    def rand(*shape):
        return torch.rand(shape, generator=generator).to(device).requires_grad_()

    def import_operator(folder, name):
        importlib.import_module(f'mmdefocus.ops.{folder}.triton')
        return getattr(torch.ops.mmdefocus, name)

    sequences = [rand(1, 3, 4) for _ in range(3)]
    heads = [rand(1, 1, 3, 4) for _ in range(3)]
    operator, arguments = {
        'scan': (
            ('selective_scan', 'selective_scan_triton'),
            (
                *(x.mT for x in sequences[:2]),
                rand(4, 2),
                rand(1, 2, 3),
                rand(1, 2, 3),
                None,
                None,
                True,
            ),
        ),
        'convolution': (
            ('causal_conv1d', 'causal_conv1d_triton'),
            (sequences[0], rand(2, 4), rand(4)),
        ),
        'norm': (
            ('gated_group_rms_norm', 'gated_group_rms_norm_triton'),
            (*sequences[:2], rand(4), sequences[2], 2, 1e-6),
        ),
        'rotary': (
            ('apply_rotary', 'apply_rotary_triton'),
            (heads[0], rand(1, 4), torch.arange(3.0, device=device)),
        ),
        'attention': (
            ('decayed_attention', 'decayed_attention_triton'),
            (*heads, rand(1), True),
        ),
        'deformable': (
            ('ms_deform_attn', 'ms_deform_attn_triton'),
            (
                *(rand(1, 6, 1, 2), torch.tensor([[2, 3]], device=device)),
                *(rand(1, 2, 1, 1, 2, 2), rand(1, 2, 1, 1, 2)),
            ),
        ),
    }[triton]
    torch.library.opcheck(import_operator(*operator), arguments)


def test_an_older_triton_is_not_used(monkeypatch):
    monkeypatch.setattr('triton.__version__', '3.4.0')
    monkeypatch.setenv('TRITON_INTERPRET', '1')
    too_old.cache_clear()
    reason = available_backends('cpu')['retention']['triton']
    monkeypatch.undo()
    too_old.cache_clear()
    assert reason == 'needs Triton 3.6 or newer, this is 3.4.0'


@needs_new_triton
@pytest.mark.skipif(interpreted(), reason='compiles')
@pytest.mark.parametrize(
    ('operator', 'kernels'),
    [
        ('apply_rotary', ['forward', 'backward']),
        ('causal_conv1d', ['forward', 'backward']),
        ('decayed_attention', ['attend', 'query_gradients', 'key_gradients'] * 2),  # at two widths
        ('ms_deform_attn', ['attend', 'point_gradients', 'value_gradients']),
    ],
)
def test_kernels_compile_without_a_gpu_and_without_spills(operator, kernels, tmp_path):
    tool = FOLDER.parents[1] / 'tools' / 'benchmark' / 'triton_compile.py'
    options = ['--op', operator, '--sm', '80', '90', '--out', tmp_path]
    subprocess.run([sys.executable, tool, *options], check=True, capture_output=True)
    with (tmp_path / 'triton_compile.csv').open() as file:
        rows = list(csv.DictReader(file))
    expected = [f'{operator}.{kernel}' for kernel in kernels for _ in ('sm_80', 'sm_90')]
    assert [row['kernel'] for row in rows] == expected
    for row in rows:
        assert row['spilled_bytes'] == '0'
        assert 16 <= int(row['registers']) <= 255
