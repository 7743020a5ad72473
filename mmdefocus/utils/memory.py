"""Stops glibc from returning the memory of freed tensors to the system."""

import ctypes
import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager

VARIABLE = 'MMDEFOCUS_KEEP_MEMORY'

# parameters of mallopt(3)
_TRIM_THRESHOLD = -1
_MMAP_MAX = -4

_kept = False


def keep_freed_memory() -> None:
    """Stops glibc from returning freed memory to the system, so that new tensors reuse it.

    By default glibc returns a large block as soon as it is freed, and the kernel clears every page
    of the next block when it is first touched. A training step frees and takes gigabytes. A
    process that keeps freed memory holds its peak until it ends.

    Changes nothing if the environment variable MMDEFOCUS_KEEP_MEMORY is 0, or if the process has
    another C library or another allocator.
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
    """Tells whether `keep_freed_memory` has taken effect in this process."""
    return _kept


@contextmanager
def garbage_collection_paused() -> Iterator[None]:
    """Pauses the search for unreachable cycles, which looks at every object again and again.

    It takes most of the time of reading a file with millions of small objects.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
