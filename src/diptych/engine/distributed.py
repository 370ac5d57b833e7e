"""The processes that train one model together: one alone, or those that ``torchrun`` started.

No wrapper around the model: gradients are averaged after ``backward``, so that double backward and several
players stay correct. Process 0 decides (time, signals) and writes; the others follow.
"""

import atexit
import os
from collections.abc import Iterable, Sequence

import torch
import torch.distributed as dist
from torch import Tensor


class ProcessGroup:
    """This process's place among those that train one model.

    Attributes
    ----------
    rank, world
        This process's number, and how many there are (0 and 1 without ``torchrun``).
    """

    def __init__(self, device: torch.device) -> None:
        self.world = int(os.environ.get("WORLD_SIZE", "1"))
        self.rank = int(os.environ.get("RANK", "0"))
        self.device = device
        if device.type == "cuda":
            torch.cuda.set_device(device)  # seeds, pinned memory and barriers are of the current one
        if self.world > 1 and not dist.is_initialized():
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
            # Else its threads are torn down with the interpreter, in whatever order that goes.
            atexit.register(dist.destroy_process_group)

    @property
    def leader(self) -> bool:
        """Whether this process decides and writes."""
        return self.rank == 0

    def share(self, total: int) -> slice:
        """The part of a batch of ``total`` pictures that is this process's."""
        size = total // self.world
        return slice(self.rank * size, (self.rank + 1) * size)

    @torch.no_grad()
    def average(self, tensors: Iterable[Tensor]) -> None:
        """Replace each floating-point tensor by its mean over the processes, in one message."""
        if self.world == 1:
            return
        floats = [t for t in tensors if t.is_floating_point()]
        if not floats:
            return
        flat = torch.cat([t.reshape(-1).float() for t in floats])
        dist.all_reduce(flat)
        flat /= self.world
        for tensor, part in zip(floats, torch.split(flat, [t.numel() for t in floats]), strict=True):
            tensor.copy_(part.view_as(tensor))

    def agree(self, numbers: Sequence[float]) -> list[float]:
        """The leader's numbers, at every process."""
        if self.world == 1:
            return list(numbers)
        told = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        dist.broadcast(told, src=0)
        return [float(x) for x in told.tolist()]

    def wait(self) -> None:
        """Return when every process has come here."""
        if self.world > 1:
            dist.barrier()


def is_leader() -> bool:
    """Whether this process is the one that writes files (true without ``torchrun``)."""
    return int(os.environ.get("RANK", "0")) == 0
