"""Whether Linux gives huge pages to torch; asked of fresh processes, for torch decides once."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

SETTING = Path('/sys/kernel/mm/transparent_hugepage/enabled')
SHOW = """
import torch
from mmdefocus.huge_pages import use_huge_pages
use_huge_pages()
x = torch.zeros(32 * 2**20)
print(open('/proc/self/smaps_rollup').read())
"""

MODE = SETTING.read_text() if SETTING.exists() else '[never]'

pytestmark = pytest.mark.skipif('[never]' in MODE, reason='no transparent huge pages')


def huge_kib(monkeypatch, value):
    if value is None:
        monkeypatch.delenv('THP_MEM_ALLOC_ENABLE', raising=False)
    else:
        monkeypatch.setenv('THP_MEM_ALLOC_ENABLE', value)
    found = subprocess.run([sys.executable, '-c', SHOW], check=True, capture_output=True, text=True)
    return int(re.search(r'AnonHugePages: +(\d+)', found.stdout)[1])


def test_large_tensors_lie_in_huge_pages(monkeypatch):
    assert huge_kib(monkeypatch, None) > 100 * 1024


@pytest.mark.skipif('[always]' in MODE, reason='the system gives them to all processes')
def test_what_the_user_has_set_stays(monkeypatch):
    assert huge_kib(monkeypatch, '0') == 0
