import ctypes
import os
import shutil
import subprocess
import sys

import pytest
import torch

from mmdefocus.ops import available_backends, selective_scan
from mmdefocus.ops.compiled import build, prebuilt
from mmdefocus.ops.compiled.compiler import COMPILERS

INPUTS = (torch.ones(1, 40, 9),) * 2 + (-torch.ones(40, 4),) + (torch.ones(1, 4, 9),) * 2
needs_compiler = pytest.mark.skipif(not any(map(shutil.which, COMPILERS)), reason='no compiler')
needs_library = pytest.mark.skipif(
    available_backends('cpu')['selective_scan']['cpu'] != 'available', reason='no library'
)


@needs_compiler
def test_a_library_is_built_once(source):
    assert build.load_library().answer() == 42
    (library,) = build.cache_folder().glob('*.so')
    before = library.stat().st_mtime_ns
    build.load_library.cache_clear()
    assert isinstance(build.load_library(), ctypes.CDLL)
    assert library.stat().st_mtime_ns == before


@needs_compiler
def test_another_source_is_another_library(source):
    build.load_library()
    source.write_text(source.read_text().replace('42', '43'))
    build.load_library.cache_clear()
    assert build.load_library().answer() == 43


@needs_compiler
def test_a_source_that_does_not_compile_is_told_in_one_line(source):
    source.write_text('int answer( { return 42; }')
    reason = build.load_library()
    assert 'failed: ' in reason and 'answer.cpp:1' in reason and '\n' not in reason


@needs_compiler
def test_a_library_that_does_not_load_is_not_kept(source):
    """As that of a clang without libomp, whose calls of OpenMP nobody answers."""
    source.write_text(
        'extern "C" void __kmpc_fork_call(); '
        'extern "C" int answer() { __kmpc_fork_call(); return 42; }'
    )
    reason = build.load_library()
    assert '__kmpc_fork_call' in reason and 'libomp' in reason and 'CXX' in reason
    assert not list(build.cache_folder().glob('*.so'))


@needs_compiler
def test_two_processes_may_build_at_once(source):
    code = (
        'import sys; from pathlib import Path; from mmdefocus.ops.compiled import build; '
        'build.SOURCES = (Path(sys.argv[1]),); sys.exit(build.load_library().answer() != 42)'
    )
    children = [subprocess.Popen([sys.executable, '-c', code, str(source)]) for _ in range(2)]
    assert [child.wait() for child in children] == [0, 0]
    assert len(list(build.cache_folder().glob('*.so'))) == 1


def test_without_a_compiler_other_backends_serve(monkeypatch, caplog, tmp_path):
    monkeypatch.setattr(prebuilt, 'FOLDER', tmp_path)
    monkeypatch.setenv('CXX', 'no-such-compiler')
    build.load_library.cache_clear()
    try:
        assert 'no C++ compiler found' in available_backends('cpu')['selective_scan']['cpu']
        torch.testing.assert_close(
            selective_scan(*INPUTS), selective_scan(*INPUTS, backend='naive')
        )
        with pytest.raises(ValueError, match=r'no C\+\+ compiler found'):
            selective_scan(*INPUTS, backend='cpu')
    finally:
        build.load_library.cache_clear()
    assert [record.message for record in caplog.records] == [
        'no compiled operators (no C++ compiler found: looked for no-such-compiler); '
        'slower backends serve'
    ]


@needs_library
def test_results_do_not_depend_on_the_number_of_threads():
    torch.manual_seed(0)
    u, delta = torch.randn(2, 100, 50), torch.rand(2, 100, 50)
    A, B, C = -torch.rand(100, 8), torch.randn(2, 8, 50), torch.randn(2, 8, 50)
    before = torch.get_num_threads()
    results = []
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        leaves = [x.clone().requires_grad_() for x in (u, delta, A, B, C)]
        y = selective_scan(*leaves, backend='cpu')
        results.append((y, *torch.autograd.grad(y.square().sum(), leaves)))
    torch.set_num_threads(before)
    for result in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(result, results[0], strict=True))


@needs_library
@pytest.mark.skipif(not hasattr(os, 'fork'), reason='no fork')
def test_a_forked_child_computes_after_its_parent():
    expected = selective_scan(*INPUTS, backend='cpu')
    child = os.fork()
    if child == 0:
        os._exit(0 if torch.equal(selective_scan(*INPUTS, backend='cpu'), expected) else 1)
    assert os.waitpid(child, 0)[1] == 0
