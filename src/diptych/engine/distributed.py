"""The processes that train one model together: a single one, or those that ``torchrun`` started.

The model is not wrapped: each player's gradients are averaged before its step, so that double backward and several
players stay correct. Process 0, the leader, decides (time, signals) and writes files; the others follow.
"""

import atexit
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from typing import TypeVar

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor
from torch._C._distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from diptych.engine.processes.shares import share
from diptych.errors import TrainingError

T = TypeVar("T")
# How long the others wait for one that is computing alone, or whose machine is gone without a word; where only a
# process is gone, its connections close and the others know at once.
TIMEOUT = timedelta(minutes=30)
LOST = (
    "Another process of this training is gone, so that this one cannot go on. torchrun starts all again if it was "
    "given --max-restarts; else give the same command again: the run continues from its last checkpoint."
)


@contextmanager
def explained_loss() -> Iterator[None]:
    """Say in a sentence what torch's error means when a process of the group is gone.

    Raises
    ------
    TrainingError
        An exchange between the processes failed.
    """
    try:
        yield
    except RuntimeError as error:  # of gloo's; dist.DistBackendError of NCCL's is one too
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise TrainingError(f"{LOST} ({reason})") from error


def _fresh_store(world_size: int) -> Store:
    """Where the processes find each other, apart from those of earlier starts.

    torchrun keeps one store over its restarts, in which the addresses of processes that are gone would be found. After
    a failure its count of restarts tells the starts apart; after another host has joined, how many have come so far.
    """
    store: Store = next(iter(rendezvous("env://", timeout=TIMEOUT)))[0]
    start = f"diptych/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}/{world_size}"
    arrived = store.add(start, 1)
    return PrefixStore(f"{start}/{(arrived - 1) // world_size}", store)


def all_reduce(tensor: Tensor, group: dist.ProcessGroup) -> None:
    """Replace a tensor by its sum over the processes of a group."""
    with explained_loss():
        dist.all_reduce(tensor, group=group)


@cache
def _statistics_group() -> dist.ProcessGroup:
    with explained_loss():
        group = dist.new_group(timeout=TIMEOUT)
    assert isinstance(group, dist.ProcessGroup)
    return group


class ProcessGroup:
    """The processes that train one model, as one of them sees them.

    Attributes
    ----------
    rank, world_size
        This process's number, and the number of processes (0 and 1 without ``torchrun``).
    """

    def __init__(self, device: torch.device) -> None:
        self.world_size = process_count()
        self.rank = int(os.environ.get("RANK", "0"))
        self.device = device
        if device.type == "cuda":
            torch.cuda.set_device(device)  # seeds, pinned memory and barriers use the current device
        if self.world_size > 1 and not dist.is_initialized():
            with explained_loss():
                backend = "nccl" if device.type == "cuda" else "gloo"
                store = _fresh_store(self.world_size)
                dist.init_process_group(
                    backend, store=store, rank=self.rank, world_size=self.world_size, timeout=TIMEOUT
                )
            # Otherwise its threads end with the interpreter, in no certain order.
            atexit.register(dist.destroy_process_group)

    @property
    def leader(self) -> bool:
        """Whether this process decides and writes."""
        return self.rank == 0

    @property
    def statistics(self) -> dist.ProcessGroup:
        """The same processes on connections of their own, so that gradients under way do not come between."""
        return _statistics_group()

    def share(self, total: int) -> slice | NDArray[np.int64]:
        """The rows of a batch of ``total`` pictures that this process takes."""
        return slice(None) if self.world_size == 1 else share(total, self.rank, self.world_size).numpy()

    @torch.no_grad()
    def average(self, tensors: Iterable[Tensor]) -> None:
        """Replace each floating-point tensor by its mean over the processes, in one all-reduce."""
        if self.world_size == 1:
            return
        floats = [t for t in tensors if t.is_floating_point()]
        if not floats:
            return
        flat = torch.cat([t.reshape(-1).float() for t in floats])
        with explained_loss():
            dist.all_reduce(flat)
        flat /= self.world_size
        for tensor, part in zip(floats, torch.split(flat, [t.numel() for t in floats]), strict=True):
            tensor.copy_(part.view_as(tensor))

    def broadcast(self, numbers: Sequence[float]) -> list[float]:
        """The leader's numbers, on every process."""
        if self.world_size == 1:
            return list(numbers)
        tensor = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        with explained_loss():
            dist.broadcast(tensor, src=0)
        return [float(x) for x in tensor.tolist()]

    def broadcast_object(self, value: T) -> T:
        """The leader's value, on every process; tensors in it are to be on the CPU."""
        if self.world_size == 1:
            return value
        values = [value]
        with explained_loss():
            dist.broadcast_object_list(values, src=0, device=self.device)
        return values[0]

    def gather_objects(self, value: T) -> list[T]:
        """The values of all processes, on every process."""
        values = [value] * self.world_size
        if self.world_size > 1:
            with explained_loss():
                dist.all_gather_object(values, value)
        return values

    def barrier(self) -> None:
        """Return when every process has called this."""
        if self.world_size > 1:
            with explained_loss():
                dist.barrier()


def process_count() -> int:
    """The number of processes that train together (1 without ``torchrun``)."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_leader() -> bool:
    """Whether this process is the one that writes files (true without ``torchrun``)."""
    return int(os.environ.get("RANK", "0")) == 0
