"""Whether freed memory stays with a process; asked of fresh ones, whose allocator is untouched."""

import platform
import subprocess
import sys

import pytest

from mmdefocus.utils.memory import VARIABLE

# how many MiB the system clears for 40 tensors of 64 MiB, one after the other
SHOW = """
import resource, torch
from mmdefocus.utils.memory import keep_freed_memory

def cleared():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt * resource.getpagesize() / 2**20

keep_freed_memory()
before = cleared()
for _ in range(40):
    torch.ones(2**24)
print(cleared() - before)
"""

pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != 'glibc', reason='the C library is not glibc'
)


def cleared_mib(monkeypatch) -> float:
    monkeypatch.setenv('THP_MEM_ALLOC_ENABLE', '0')  # a huge page is cleared, but counted as one
    done = subprocess.run([sys.executable, '-c', SHOW], check=True, capture_output=True, text=True)
    return float(done.stdout)


def test_memory_of_freed_tensors_serves_those_to_come(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert cleared_mib(monkeypatch) < 40 * 64 / 2


def test_the_user_may_have_it_given_back(monkeypatch):
    monkeypatch.setenv(VARIABLE, '0')
    assert cleared_mib(monkeypatch) >= 40 * 64
