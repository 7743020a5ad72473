"""What `make docs` would warn of after minutes: pages that are left out, dead links."""

import os
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PATTERNS = ('*.md', 'docs/**/*.md', 'configs/**/README.md', 'mmdefocus/**/README.md')
PAGES = sorted(
    path.relative_to(ROOT)
    for pattern in PATTERNS
    for path in ROOT.glob(pattern)
    if '_build' not in path.parts
)
TOCTREE = re.compile(r'^```\{toctree\}\n(.*?)^```', re.M | re.S)
ENTRY = re.compile(r'^(?!:)(?:.*<(.+)>|(.+))$', re.M)
LINK = re.compile(r'\]\((?!https?:|mailto:|#)([^)#\s]+)')
CODE = re.compile(r'^ *```.*?^ *```|`[^`\n]+`', re.M | re.S)


def test_every_page_is_in_a_table_of_contents():
    listed = {Path('docs/index.md')}
    for page in PAGES:
        for entries in TOCTREE.findall((ROOT / page).read_text()):
            for named, plain in ENTRY.findall(entries):
                target = os.path.normpath(page.parent / (named or plain))
                listed |= {path.relative_to(ROOT) for path in ROOT.glob(f'{target}.md')}
    assert not set(PAGES) - listed


@pytest.mark.parametrize('page', PAGES, ids=str)
def test_links_lead_to_files(page):
    text = CODE.sub('', (ROOT / page).read_text())
    dead = [link for link in LINK.findall(text) if not ((ROOT / page).parent / link).is_file()]
    assert not dead
