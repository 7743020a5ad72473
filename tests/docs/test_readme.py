"""README.md against what it speaks of."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / 'README.md').read_text()
BADGES = dict(re.findall(r'img\.shields\.io/badge/([\w-]+?)-([\w.%-]+)-\w+\)', PAGE))
ROWS = re.findall(r'^\|[^|]+\| \[[^]]+\]\((configs/[^)]+)\) \|(.*)model_zoo\.md\) \|$', PAGE, re.M)


def test_badges_are_true():
    project = dict(re.findall(r'^([\w-]+) = "(.*)"$', (ROOT / 'pyproject.toml').read_text(), re.M))
    pinned = (ROOT / 'requirements' / 'constraints.txt').read_text()
    assert BADGES.pop('arXiv') in (ROOT / 'CITATION.cff').read_text()
    assert BADGES.pop('license').replace('--', '-') == project['license']
    assert BADGES.pop('python').replace('%3E%3D', '>=') == project['requires-python']
    assert f'\ntorch=={BADGES.pop("tested_with_torch")}\n' in pinned
    assert not BADGES


@pytest.mark.parametrize(('config', 'cells'), ROWS, ids=[config for config, _ in ROWS])
def test_memory_of_a_purpose_is_that_of_the_model_zoo(config, cells):
    zoo = (ROOT / 'docs' / 'model_zoo.md').read_text()
    (line,) = [line for line in zoo.splitlines() if f'../{config})' in line]
    minutes, memory = cells.split('|')[:2]
    assert minutes.strip() == 'not measured'
    assert line.split('|')[5].strip() == memory.strip().partition(', ')[0].strip()


def test_some_purposes_are_checked():
    assert len(ROWS) == 4


@pytest.mark.parametrize('path', sorted(set(re.findall(r'\]\(((?!http)[^)#]+)\)', PAGE))))
def test_what_is_linked_exists(path):
    assert (ROOT / path).exists()
