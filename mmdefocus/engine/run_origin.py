"""Where a result comes from: the device and the revision of the code."""

import subprocess
from pathlib import Path

import torch


def device_name(threads: int) -> str:
    """Returns what a training runs on."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f'CPU, {threads} thread{"s" if threads > 1 else ""}'


def commit_of(folder: Path) -> str | None:
    """Returns the revision of a checkout, with a plus if files differ from it."""
    git = ['git', '-C', str(folder)]
    try:
        head = subprocess.run(
            [*git, 'rev-parse', '--short=12', 'HEAD'], capture_output=True, text=True, check=True
        )
        changed = subprocess.run(
            [*git, 'status', '--porcelain', '--untracked-files=no'],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):  # no git, or no checkout
        return None
    return head.stdout.strip() + '+' * bool(changed.stdout)
