"""Gradients averaged over processes while ``backward`` still computes the others."""

from collections.abc import Iterable, Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn

from diptych.engine.distributed import ProcessGroup, explained_loss

BUCKET_BYTES = 4_000_000  # sent at a time: fewer would wait for each other's latency, more for the end of backward


class _Bucket:
    """Parameters whose gradients are averaged in one all-reduce."""

    def __init__(self, parameters: list[nn.Parameter]) -> None:
        self.parameters = parameters
        self.waiting = 0  # gradients that are not complete yet
        self._sent: tuple[Tensor, list[Tensor], dist.Work] | None = None

    def send(self) -> None:
        """Begin to add up, over the processes, the gradients that there are."""
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        if gradients:
            flat = torch.cat([g.reshape(-1).float() for g in gradients])
            with explained_loss():
                work = dist.all_reduce(flat, async_op=True)
            assert work is not None
            self._sent = flat, gradients, work

    def receive(self, world_size: int) -> None:
        """Wait, and replace the gradients by their means."""
        if self._sent is None:
            return
        flat, gradients, work = self._sent
        with explained_loss():
            work.wait()
        flat /= world_size
        for gradient, part in zip(gradients, torch.split(flat, [g.numel() for g in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))
        self._sent = None


class _Player:
    """A player's buckets, sent in one order on every process: the last layer's first, as ``backward`` goes."""

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self.buckets: list[_Bucket] = []
        self._next = 0
        room = 0
        for p in reversed(parameters):
            if room < p.numel() * p.element_size():
                self.buckets.append(_Bucket([]))
                room = BUCKET_BYTES
            self.buckets[-1].parameters.append(p)
            room -= p.numel() * p.element_size()

    def begin(self) -> None:
        """Wait for all gradients anew."""
        self._next = 0
        for bucket in self.buckets:
            bucket.waiting = len(bucket.parameters)

    def send(self, *, incomplete: bool = False) -> None:
        """Send the buckets that are complete and have none before them that is not; or all that are left."""
        while self._next < len(self.buckets) and (incomplete or not self.buckets[self._next].waiting):
            self.buckets[self._next].send()
            self._next += 1


class GradientBuckets:
    """The gradients of a task's players, averaged over the processes as they become complete.

    A parameter's gradient is complete when the ``backward`` of the last microbatch has added to it, which it does once,
    whatever derivatives of derivatives the loss contains.

    Parameters
    ----------
    microbatches
        In a step.
    """

    def __init__(self, group: ProcessGroup, microbatches: int) -> None:
        self._group, self._microbatches = group, microbatches
        self._players: dict[tuple[int, ...], _Player] = {}  # by the ids of the parameters
        self._places: dict[int, tuple[_Player, _Bucket]] = {}  # of the parameters that this step expects gradients of
        self._counts: dict[int, int] = {}  # of the microbatches whose gradient a parameter has
        self._hooked: set[int] = set()

    def expect(self, players: Iterable[Sequence[nn.Parameter]]) -> None:
        """Watch the gradients of these players in the step that begins."""
        if self._group.world_size == 1:
            return
        self._places, self._counts = {}, {}
        for parameters in players:
            player = self._player(parameters)
            player.begin()
            self._places.update({id(p): (player, bucket) for bucket in player.buckets for p in bucket.parameters})

    def average(self, parameters: Sequence[nn.Parameter]) -> None:
        """Replace the gradients of a player, which :meth:`expect` was given, by their means over the processes."""
        if self._group.world_size == 1:
            return
        player = self._player(parameters)
        player.send(incomplete=True)  # those with parameters that have no part in the loss
        for bucket in player.buckets:
            bucket.receive(self._group.world_size)

    def _player(self, parameters: Sequence[nn.Parameter]) -> _Player:
        key = tuple(id(p) for p in parameters)
        if key not in self._players:
            self._players[key] = _Player(parameters)
            for p in parameters:
                if id(p) not in self._hooked and p.requires_grad:
                    p.register_post_accumulate_grad_hook(self._complete)  # type: ignore[no-untyped-call]
                    self._hooked.add(id(p))
        return self._players[key]

    def _complete(self, parameter: Tensor) -> None:
        """Count a gradient; ``backward`` calls this once a parameter has its gradient of a microbatch."""
        place = self._places.get(id(parameter))
        if place is None:
            return
        self._counts[id(parameter)] = self._counts.get(id(parameter), 0) + 1
        if self._counts[id(parameter)] == self._microbatches:
            player, bucket = place
            bucket.waiting -= 1
            player.send()
