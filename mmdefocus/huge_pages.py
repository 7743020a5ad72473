"""Huge pages for CPU tensors, of which a training step takes and gives back gigabytes."""

import os

VARIABLE = 'THP_MEM_ALLOC_ENABLE'  # of torch, read when the process makes its first tensor


def use_huge_pages() -> None:
    """Lets torch ask Linux for pages of 2 MiB for CPU tensors of that size and above.

    Fresh memory comes page by page, each cleared by the kernel when it is first touched: with the
    usual 4 KiB a tenth of a training step on a CPU goes there. Call it before the first tensor is
    made. A value that the user has given the variable stays; where the system has no transparent
    huge pages nothing changes.
    """
    os.environ.setdefault(VARIABLE, '1')


def uses_huge_pages() -> bool:
    """Tells whether torch was asked to."""
    return os.environ.get(VARIABLE) == '1'
