"""The exponential moving average (EMA) of the weights: the result of a run."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

MAX_HALF_LIFE_SHARE = 0.05  # of the pictures seen so far: the noisy weights of a run's start are soon forgotten


class EMA:
    """Exponential moving average of the parameters and the floating-point buffers of modules.

    Buffers (batch norm's running statistics) are averaged with the weights: averaged weights and the statistics of
    the latest ones do not fit each other.

    Parameters
    ----------
    modules
        The modules to average.
    half_life
        Pictures after which a weight's share in the average has halved; ``None``: nothing is averaged, the
        latest weights are the result.
    """

    def __init__(self, modules: Iterable[nn.Module], half_life: int | None) -> None:
        self.half_life = half_life
        self._live = [t for module in modules for t in (*module.parameters(), *module.buffers())]
        self._averaged = [t.detach().clone() for t in self._live] if half_life else []
        self._float_indices = [i for i, t in enumerate(self._averaged) if t.is_floating_point()]

    def align(self) -> None:
        """Take over the weights' memory format once it is chosen: otherwise updates are slow, value by value."""
        pairs = zip(self._live, self._averaged, strict=False)
        self._averaged = [torch.empty_like(live).copy_(averaged) for live, averaged in pairs]

    @torch.no_grad()
    def update(self, batch: int, seen_pictures: int) -> None:
        """Update the average after one step of ``batch`` pictures."""
        if not self.half_life:
            return
        half_life = max(min(self.half_life, MAX_HALF_LIFE_SHARE * seen_pictures), 1e-8)
        weight = 1 - 0.5 ** (batch / half_life)
        averaged = [self._averaged[i] for i in self._float_indices]
        torch._foreach_lerp_(averaged, [self._live[i].detach() for i in self._float_indices], weight)

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the live weights and the averaged ones (integer buffers stay as they are)."""
        for i in self._float_indices:
            live, averaged = self._live[i], self._averaged[i]
            latest = live.detach().clone()
            live.copy_(averaged)
            averaged.copy_(latest)

    def state(self) -> list[Tensor]:
        """The averaged tensors, for a checkpoint."""
        return self._averaged

    @torch.no_grad()
    def restore(self, state: list[Tensor]) -> None:
        """Restore the averaged tensors of a checkpoint."""
        for averaged, saved in zip(self._averaged, state, strict=True):
            averaged.copy_(saved)
