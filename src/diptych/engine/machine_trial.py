"""The step that the machine's trial times: real losses and gradients, without lasting changes."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from diptych.engine.loader import Loader
from diptych.engine.machine import Machine
from diptych.engine.task import Recipe, Task

MAX_CPU_TRIAL_PICTURES = 128  # in a step: enough to measure a rate


def run_microbatches(
    task: Task, recipe: Recipe, machine: Machine, images: Tensor, labels: Tensor
) -> Iterator[tuple[str, Tensor]]:
    """Run the task's loss generators over the microbatches in lockstep.

    Yields (player, loss) once the gradients of all microbatches are accumulated; the caller steps the player and
    clears them.
    """
    parts = recipe.accumulate
    players = task.players()
    microbatches = zip(machine.to_memory_format(images).chunk(parts), labels.chunk(parts), strict=True)
    generators = [task.losses(*microbatch) for microbatch in microbatches]
    while True:
        player, total = "", torch.zeros((), device=images.device)
        for losses in generators:
            with machine.autocast():
                player, loss = next(losses, ("", None))
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
        The number in each step: the batch, but on a CPU no more than a rate needs.
    """

    def __init__(self, task: Task, modules: Mapping[str, nn.Module], recipe: Recipe, loader: Loader) -> None:
        self.task, self.modules, self.recipe, self.loader = task, modules, recipe, loader
        share, parts = recipe.batch // loader.group.world_size, recipe.accumulate
        wanted = MAX_CPU_TRIAL_PICTURES if loader.group.device.type == "cpu" else share
        self.pictures = min(share, parts * -(-wanted // parts))
        self._batch: tuple[Tensor, ...] | None = None

    def __call__(self, machine: Machine) -> None:
        """One step as at the run's start, without the optimiser."""
        self._step(machine, 0.0)

    def compile(self, machine: Machine) -> None:
        """Compile all that the run needs: at its end other modules may be trained than at its start."""
        for progress in (0.0, 1.0):
            self._step(machine, progress)

    def _step(self, machine: Machine, progress: float) -> None:
        if self._batch is None:
            self._batch = tuple(part[: self.pictures] for part in next(self.loader.batches(0)))
        pixels, labels, turns = self._batch
        states = {name: _cloned_state(module) for name, module in self.modules.items()}
        machine.prepare(self.modules.values(), self.task.compilable())
        for module in self.modules.values():
            module.train()
        self.task.before_step(progress)
        players, images = self.task.players(), self.recipe.augment(pixels, turns)
        for player, _ in run_microbatches(self.task, self.recipe, machine, images, labels):
            for p in players[player]:
                p.grad = None
        for name, module in self.modules.items():
            module.load_state_dict(states[name])

    def key(self) -> str:
        """All that a rate depends on of the model and its batch."""
        shapes = {name: [tuple(p.shape) for p in m.parameters()] for name, m in self.modules.items()}
        kinds = {name: type(m).__name__ for name, m in self.modules.items()}
        batch = (self.pictures, self.recipe.accumulate, self.loader.group.world_size, self.loader.size)
        return repr((type(self.task).__name__, kinds, shapes, batch, self.recipe.augment))


def _cloned_state(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}
