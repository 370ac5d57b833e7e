"""The exponential moving average of the weights: what a run hands over at its end."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

RAMP = 0.05  # the half-life is at most this share of the pictures seen so far, so that early noise is forgotten


class EMA:
    """Averages the parameters and the floating-point buffers of some modules.

    Buffers (batch norm's running statistics) are averaged with the weights, since averaged weights with the
    statistics of the latest ones do not fit each other.

    Parameters
    ----------
    modules
        The modules to follow.
    half_life
        Pictures after which a weight's share in the average has halved; ``None`` means no average: the latest
        weights are the result.
    """

    def __init__(self, modules: Iterable[nn.Module], half_life: int | None) -> None:
        self.half_life = half_life
        self._live = [t for module in modules for t in (*module.parameters(), *module.buffers())]
        self._kept = [t.detach().clone() for t in self._live] if half_life else []
        self._lerped = [i for i, t in enumerate(self._kept) if t.is_floating_point()]

    def align(self) -> None:
        """Follow the weights' memory format, once it is chosen: else each update goes the slow way, value by value."""
        self._kept = [torch.empty_like(live).copy_(kept) for live, kept in zip(self._live, self._kept, strict=False)]

    @torch.no_grad()
    def update(self, batch: int, seen_pictures: int) -> None:
        """Take one step of ``batch`` pictures into the average."""
        if not self.half_life:
            return
        half_life = max(min(self.half_life, RAMP * seen_pictures), 1e-8)
        new = 1 - 0.5 ** (batch / half_life)
        kept = [self._kept[i] for i in self._lerped]
        torch._foreach_lerp_(kept, [self._live[i].detach() for i in self._lerped], new)

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the live weights and the averaged ones (buffers that are no floats stay as they are)."""
        for i in self._lerped:
            live, kept = self._live[i], self._kept[i]
            held = live.detach().clone()
            live.copy_(kept)
            kept.copy_(held)

    def state(self) -> list[Tensor]:
        """The averaged tensors, for a checkpoint."""
        return self._kept

    @torch.no_grad()
    def restore(self, state: list[Tensor]) -> None:
        """Take the averaged tensors of a checkpoint."""
        for kept, saved in zip(self._kept, state, strict=True):
            kept.copy_(saved)
