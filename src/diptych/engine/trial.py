"""The step that the machine's trial times: real losses and gradients, and nothing that lasts."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from diptych.engine.loader import Loader
from diptych.engine.machine import Machine
from diptych.engine.task import Recipe, Task

ENOUGH_ON_CPU = 128  # pictures


def run_microbatches(
    task: Task, recipe: Recipe, on: Machine, images: Tensor, labels: Tensor
) -> Iterator[tuple[str, Tensor]]:
    """Drive the task's losses over the microbatches in lockstep.

    Yields (player, loss) when the gradients of all microbatches are there; the caller steps the player and clears
    them.
    """
    parts = recipe.accumulate
    players = task.players()
    micro = zip(on.place(images).chunk(parts), labels.chunk(parts), strict=True)
    turns = [task.losses(*part) for part in micro]
    while True:
        player, total = "", torch.zeros((), device=images.device)
        for turn in turns:
            with on.autocast():
                player, loss = next(turn, ("", None))
            if loss is None:
                return
            # Only this player's parameters: the critic's loss must not fill the generator's gradients.
            torch.autograd.backward(loss / parts, inputs=list(players[player]))
            total = total + loss.detach().float() / parts
        yield player, total


class Trial:
    """Steps of a task on candidate machines, leaving its modules as they were.

    Attributes
    ----------
    pictures
        In each step: the batch, but on a CPU no more than tell the rate.
    """

    def __init__(self, task: Task, modules: Mapping[str, nn.Module], recipe: Recipe, feed: Loader) -> None:
        self.task, self.modules, self.recipe, self.feed = task, modules, recipe, feed
        share, parts = recipe.batch // feed.group.world, recipe.accumulate
        enough = ENOUGH_ON_CPU if feed.group.device.type == "cpu" else share
        self.pictures = min(share, parts * -(-enough // parts))
        self._batch: tuple[Tensor, ...] | None = None

    def __call__(self, on: Machine) -> None:
        """One step as at the run's start, without the optimiser's part."""
        self._step(on, 0.0)

    def compile(self, on: Machine) -> None:
        """Compile all that the run needs: what is trained at its end may not be what is trained at its start."""
        for progress in (0.0, 1.0):
            self._step(on, progress)

    def _step(self, on: Machine, progress: float) -> None:
        if self._batch is None:
            self._batch = tuple(part[: self.pictures] for part in next(self.feed.batches(0)))
        pixels, labels, turns = self._batch
        held = {name: _cloned(module) for name, module in self.modules.items()}
        on.prepare(self.modules.values(), self.task.compilable())
        for module in self.modules.values():
            module.train()
        self.task.before_step(progress)
        players = self.task.players()
        for player, _ in run_microbatches(self.task, self.recipe, on, self.recipe.augment(pixels, turns), labels):
            for p in players[player]:
                p.grad = None
        for name, module in self.modules.items():
            module.load_state_dict(held[name])

    def key(self) -> str:
        """All of the model and its batch that a rate depends on."""
        shapes = {name: [tuple(p.shape) for p in m.parameters()] for name, m in self.modules.items()}
        kinds = {name: type(m).__name__ for name, m in self.modules.items()}
        batch = (self.pictures, self.recipe.accumulate, self.feed.group.world, self.feed.size)
        return repr((type(self.task).__name__, kinds, shapes, batch, self.recipe.augment))


def _cloned(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}
