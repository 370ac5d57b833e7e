"""Memory that one step frees is reused by the next one."""

import platform
import resource

import torch

from diptych.engine.processor import allocator

BLOCK = 10_000_000  # floats: 40 MB, above every size at which the C library returns memory at once


def page_faults(steps: int) -> int:
    """Pages that the system cleared while ``steps`` tensors were allocated and freed."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(steps):
        torch.ones(BLOCK)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def test_freed_memory_is_reused_and_returned_to_the_system_at_the_end():
    if platform.libc_ver()[0] != "glibc":
        with allocator.keep_freed_memory():
            assert torch.ones(4).sum() == 4
        return
    page = resource.getpagesize()
    assert page_faults(3) * page > 3 * 4 * BLOCK * 0.9
    with allocator.keep_freed_memory():
        page_faults(20)  # until the heap is fully grown
        assert page_faults(20) * page < 20 * 4 * BLOCK * 0.2
    assert page_faults(1) * page > 4 * BLOCK * 0.9
