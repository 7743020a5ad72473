import importlib
import io
import sys
import types
from importlib import metadata

import pytest

from mmdefocus.mmcv_ext import extension


@pytest.fixture
def versions(monkeypatch):
    """Versions of distributions that only seem to be installed."""
    table = {}
    monkeypatch.setattr(metadata, 'version', lambda name: table[name])
    return table


def fail_to_import(monkeypatch, name, error):
    original = importlib.import_module

    def import_module(wanted, *args):
        if wanted == name:
            raise error
        return original(wanted, *args)

    monkeypatch.setattr(importlib, 'import_module', import_module)


def test_shows_the_version_and_its_distribution(check_env, versions):
    versions['onedl-mmengine'] = '0.10.12'
    finding = check_env.check_package('mmengine', {'mmengine': ['onedl-mmengine']})
    assert finding == ('mmengine', 'onedl-mmengine 0.10.12', None)


def test_one_owner_that_is_listed_twice_is_one(check_env, versions):
    versions['onedl-mmengine'] = '0.10.12'
    finding = check_env.check_package('mmengine', {'mmengine': ['onedl-mmengine'] * 2})
    assert finding.problem is None


def test_two_owners_of_mmcv_are_a_problem(check_env, versions):
    versions.update({'onedl-mmcv': '2.3.6', 'mmcv': '2.1.0'})
    finding = check_env.check_package('mmcv', {'mmcv': ['onedl-mmcv', 'mmcv']})
    assert finding.found == 'mmcv 2.1.0, onedl-mmcv 2.3.6'
    assert finding.problem.startswith('2 distributions own the package')
    assert 'pip uninstall mmcv, ' in finding.problem


def test_package_that_is_not_installed_is_a_problem(check_env, monkeypatch):
    fail_to_import(monkeypatch, 'mmdet', ModuleNotFoundError("No module named 'mmdet'"))
    finding = check_env.check_package('mmdet', {})
    assert finding == ('mmdet', 'missing', 'cannot be imported (it is not installed)')


def test_package_that_does_not_import_is_a_problem(check_env, versions, monkeypatch):
    versions['torchvision'] = '0.26.0'
    fail_to_import(monkeypatch, 'torchvision', RuntimeError('no operator nms\nmore'))
    finding = check_env.check_package('torchvision', {'torchvision': ['torchvision']})
    assert finding.problem == 'cannot be imported (RuntimeError: no operator nms)'


@pytest.mark.parametrize(
    ('error', 'found', 'reason'),
    [
        (ModuleNotFoundError('mmcv._ext'), 'missing', 'built without its operators'),
        (ImportError('undefined symbol: x'), 'broken', 'do not load (undefined symbol: x)'),
    ],
)
def test_mmcv_without_working_operators_is_a_problem(check_env, monkeypatch, error, found, reason):
    fail_to_import(monkeypatch, 'mmcv._ext', error)
    finding = check_env.check_mmcv_ops()
    assert finding.found == found
    assert reason in finding.problem
    assert finding.problem.endswith('make setup MMCV_OPS=1 builds them')


def test_operators_of_mmcv_itself_are_called_compiled(check_env, monkeypatch):
    monkeypatch.setitem(sys.modules, 'mmcv._ext', types.ModuleType('mmcv._ext'))
    assert check_env.check_mmcv_ops() == ('mmcv ops', 'compiled', None)


def test_operators_from_mmdefocus_are_listed(check_env, monkeypatch):
    monkeypatch.setitem(sys.modules, 'mmcv._ext', extension)
    finding = check_env.check_mmcv_ops()
    assert finding.problem is None
    assert finding.found.startswith('from mmdefocus: nms, softnms, nms_match, roi_align, ')
    assert finding.found.endswith('; for others, make setup MMCV_OPS=1 builds them')


@pytest.mark.parametrize(
    ('owner', 'version', 'torch', 'broken'),
    [
        ('mmengine', '0.10.7', '2.11.0', True),
        ('mmengine', '0.10.7', '2.5.1', False),
        ('onedl-mmengine', '0.10.12', '2.11.0', False),
    ],
)
def test_mmengine_that_cannot_load_its_checkpoints(
    check_env, versions, owner, version, torch, broken
):
    versions.update({owner: version, 'torch': torch})
    finding = check_env.check_checkpoints({'mmengine': [owner], 'torch': ['torch']})
    assert (finding is not None) == broken


def test_backends_are_shown_with_their_reasons(check_env, monkeypatch):
    table = {'scan': {'gpu': 'no CUDA device', 'naive': 'available'}}
    monkeypatch.setattr('mmdefocus.ops.available_backends', lambda: table)
    assert check_env.check_backends() == [
        ('scan: gpu', 'no CUDA device', None),
        ('scan: naive', 'available', None),
    ]


def test_operator_without_a_backend_is_a_problem(check_env, monkeypatch):
    table = {'scan': {'gpu': 'no CUDA device'}}
    monkeypatch.setattr('mmdefocus.ops.available_backends', lambda: table)
    assert check_env.check_backends()[-1] == ('scan', 'unusable', 'no backend can run')


def test_missing_compiler_is_no_problem(check_env, monkeypatch):
    monkeypatch.setenv('CXX', 'no-such-compiler')
    finding = check_env.check_compiler()
    assert finding == ('compiler', 'none found (looked for no-such-compiler)', None)


@pytest.mark.parametrize(('problem', 'status'), [(None, 0), ('it is broken', 1)])
def test_exit_status_and_the_line_of_a_problem(check_env, monkeypatch, capsys, problem, status):
    monkeypatch.setattr(check_env, 'collect', lambda: [check_env.Finding('part', '1.0', problem)])
    with pytest.raises(SystemExit) as stop:
        check_env.main()
    output = capsys.readouterr()
    assert stop.value.code == status
    assert output.out.split() == ['part', '1.0']
    assert output.err == (f'error: part: {problem}\n' if problem else '')


def test_prints_paths_that_stdout_cannot_encode(check_env, monkeypatch):
    content = io.BytesIO()
    monkeypatch.setattr(sys, 'stdout', io.TextIOWrapper(content, 'ascii', 'strict'))
    monkeypatch.setattr(check_env, 'collect', lambda: [check_env.Finding('python', '/caf\xe9')])
    with pytest.raises(SystemExit):
        check_env.main()
    sys.stdout.flush()
    assert '/caf\\xe9' in content.getvalue().decode('ascii')
