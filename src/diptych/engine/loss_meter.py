"""The training losses between two ticks, and the check that they are finite."""

import math
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from diptych.engine.distributed import ProcessGroup
from diptych.errors import TrainingError


class LossMeter:
    """The mean loss of each player since the last tick.

    Attributes
    ----------
    totals
        The summed losses by player, scalars on the device: reading them waits for the device, so it is done rarely.
    steps
        The steps that they are summed over.
    """

    def __init__(self, group: ProcessGroup) -> None:
        self._group = group
        self.totals: dict[str, Tensor] = {}
        self.steps = 0

    def add(self, player: str, loss: Tensor) -> None:
        """Add the loss of a player's step."""
        self.totals[player] = self.totals.get(player, torch.zeros_like(loss)) + loss

    def means(self) -> dict[str, float]:
        """The mean loss of each player, over all processes."""
        self._group.average(self.totals.values())
        return {player: float(total) / self.steps for player, total in self.totals.items()}

    def restore(self, totals: Mapping[str, Tensor], steps: int) -> None:
        """Take the totals and steps of a checkpoint."""
        self.totals = {player: total.to(self._group.device) for player, total in totals.items()}
        self.steps = steps

    def reset(self) -> None:
        """Start again from zero, after a tick."""
        self.totals, self.steps = {}, 0


def check_finite(losses: Mapping[str, float], seen_pictures: int, folder: Path | None) -> None:
    """Stop a run whose loss is NaN or infinite, before that state is saved over the last good checkpoint.

    Raises
    ------
    TrainingError
        A loss is not finite.
    """
    for player, value in losses.items():
        if not math.isfinite(value):
            checkpoint = f" The last good checkpoint is in {folder}." if folder else ""
            raise TrainingError(
                f"The {player} loss is not finite (NaN or infinite) after {seen_pictures} pictures.{checkpoint} "
                "Start again in a new folder with a lower learning rate (--lr, a third of this one)."
            )
