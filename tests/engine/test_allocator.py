"""Memory that one step frees serves the next one."""

import platform
import resource

import torch

from diptych.engine import allocator

BLOCK = 10_000_000  # floats: 40 MB, over every size from which the C library gives memory back at once


def faults(steps: int) -> int:
    """Pages that the system had to clear while so many tensors were made and freed."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(steps):
        torch.ones(BLOCK)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def test_memory_is_taken_again_and_given_back_in_the_end():
    if platform.libc_ver()[0] != "glibc":
        with allocator.keep_freed_memory():
            assert torch.ones(4).sum() == 4
        return
    page = resource.getpagesize()
    assert faults(3) * page > 3 * 4 * BLOCK * 0.9
    with allocator.keep_freed_memory():
        faults(20)  # until the heap has found its shape
        assert faults(20) * page < 20 * 4 * BLOCK * 0.2
    assert faults(1) * page > 4 * BLOCK * 0.9
