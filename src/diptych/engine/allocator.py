"""The processor's memory while a model works: what a step frees, the next step takes again.

The C library's allocator hands large blocks back to the system as soon as they are freed and asks for them again a
moment later; the system then clears every page anew. A training step frees and asks for all of its activations, so
that this was a sixth of the time of a large network's step, and a third of a small one's.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# <malloc.h> of glibc: the codes of mallopt's parameters, and the values that it starts with.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
_TRIM_AT_START, _MMAPS_AT_START = 128 * 1024, 65536
_NEVER = 2**31 - 1


@contextmanager
def keep_freed_memory() -> Iterator[None]:
    """Within the block freed memory stays with the process; after it, all that is free goes back to the system.

    Does nothing where the C library is not glibc. Blocks may lie in each other: the innermost end is an end.
    """
    library = _glibc()
    if library is None:
        yield
        return
    library.mallopt(_MMAP_MAX, 0)
    library.mallopt(_TRIM_THRESHOLD, _NEVER)
    try:
        yield
    finally:
        library.mallopt(_MMAP_MAX, _MMAPS_AT_START)
        library.mallopt(_TRIM_THRESHOLD, _TRIM_AT_START)
        library.malloc_trim(0)


def _glibc() -> Any:
    """The C library of this process, if it is glibc."""
    try:
        library = ctypes.CDLL(None)
        _ = library.gnu_get_libc_version, library.mallopt, library.malloc_trim
    except (AttributeError, OSError, TypeError):
        return None
    return library
