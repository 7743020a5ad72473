"""Keeps what freed tensors held in the process, of which a step takes and gives back gigabytes."""

import ctypes
import os

VARIABLE = 'MMDEFOCUS_KEEP_MEMORY'

# parameters of mallopt(3)
_TRIM_THRESHOLD = -1
_MMAP_MAX = -4

_kept = False


def keep_freed_memory() -> None:
    """Lets the process keep the memory of freed CPU tensors for the tensors to come.

    By default glibc gives large blocks back to the system at once, and those that follow come page
    by page, each cleared by the kernel when it is first touched. The process holds what it needed
    at its peak until it ends. Unless the variable MMDEFOCUS_KEEP_MEMORY is 0; with another C
    library, or another allocator, nothing changes.
    """
    global _kept
    if os.environ.get(VARIABLE) == '0':
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, TypeError):  # no such function; on Windows, no such library
        return
    _kept = bool(mallopt(_MMAP_MAX, 0) and mallopt(_TRIM_THRESHOLD, -1))


def keeps_freed_memory() -> bool:
    """Tells whether this process keeps it."""
    return _kept
