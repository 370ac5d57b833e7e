"""The processes that train one model together: a single one, or those that ``torchrun`` started.

The model is not wrapped: gradients are averaged after ``backward``, so that double backward and several
players stay correct. Process 0, the leader, decides (time, signals) and writes files; the others follow.
"""

import atexit
import os
from collections.abc import Iterable, Sequence
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

T = TypeVar("T")


class ProcessGroup:
    """The processes that train one model, as one of them sees them.

    Attributes
    ----------
    rank, world_size
        This process's number, and the number of processes (0 and 1 without ``torchrun``).
    """

    def __init__(self, device: torch.device) -> None:
        self.world_size = int(os.environ.get("WORLD_SIZE", "1"))
        self.rank = int(os.environ.get("RANK", "0"))
        self.device = device
        if device.type == "cuda":
            torch.cuda.set_device(device)  # seeds, pinned memory and barriers use the current device
        if self.world_size > 1 and not dist.is_initialized():
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
            # Otherwise its threads end with the interpreter, in no certain order.
            atexit.register(dist.destroy_process_group)

    @property
    def leader(self) -> bool:
        """Whether this process decides and writes."""
        return self.rank == 0

    def shard(self, total: int) -> slice:
        """This process's part of a batch of ``total`` pictures."""
        size = total // self.world_size
        return slice(self.rank * size, (self.rank + 1) * size)

    @torch.no_grad()
    def average(self, tensors: Iterable[Tensor]) -> None:
        """Replace each floating-point tensor by its mean over the processes, in one all-reduce."""
        if self.world_size == 1:
            return
        floats = [t for t in tensors if t.is_floating_point()]
        if not floats:
            return
        flat = torch.cat([t.reshape(-1).float() for t in floats])
        dist.all_reduce(flat)
        flat /= self.world_size
        for tensor, part in zip(floats, torch.split(flat, [t.numel() for t in floats]), strict=True):
            tensor.copy_(part.view_as(tensor))

    def broadcast(self, numbers: Sequence[float]) -> list[float]:
        """The leader's numbers, on every process."""
        if self.world_size == 1:
            return list(numbers)
        tensor = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        dist.broadcast(tensor, src=0)
        return [float(x) for x in tensor.tolist()]

    def broadcast_object(self, value: T) -> T:
        """The leader's value, on every process; tensors in it are to be on the CPU."""
        if self.world_size == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values, src=0, device=self.device)
        return values[0]

    def barrier(self) -> None:
        """Return when every process has called this."""
        if self.world_size > 1:
            dist.barrier()


def is_leader() -> bool:
    """Whether this process is the one that writes files (true without ``torchrun``)."""
    return int(os.environ.get("RANK", "0")) == 0
