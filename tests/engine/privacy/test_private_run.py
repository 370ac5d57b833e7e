"""Private steps in the engine's loop: the budget's number of them, secret noise, and exact resume."""

import os
import shutil
import signal

import pytest
import torch
from torch import nn

from diptych.engine.optim import adamw
from diptych.engine.privacy.budget import Budget
from diptych.engine.privacy.private_run import PrivateRun
from diptych.engine.task import Recipe
from diptych.errors import Interrupted, UsageError
from tests.engine import tiny

STEPS, BATCH = 40, 24


class Colours:
    """A linear classifier of the three colours."""

    def __init__(self):
        torch.manual_seed(0)
        self.network = nn.Sequential(nn.AvgPool2d(4), nn.Flatten(), nn.Linear(12, 3))

    def modules(self):
        return {"network": self.network}

    def players(self):
        return {"network": list(self.network.parameters())}

    def optimizers(self):
        return {"network": [adamw(self.network.parameters(), 0.1)]}

    def losses(self, images, labels):
        yield "network", nn.functional.cross_entropy(self.network(images), labels)

    def compilable(self):
        return []

    def before_step(self, progress):
        pass


@pytest.fixture(scope="module")
def budget():
    return Budget(8.0, 1e-5, 8.0, 8.0, BATCH / 96, 1.0, STEPS, 1.0)


def start(budget, folder=None, task=None, **changes):
    recipe = Recipe(**{"batch": BATCH, "pictures": STEPS * BATCH, **changes})
    return PrivateRun(task or Colours(), tiny.images(), size=8, recipe=recipe, budget=budget, folder=folder)


def finish(run, stop_at=None):
    """Run to the end; with ``stop_at``, Ctrl-C comes once so many ticks are over."""
    for number, tick in enumerate(run):
        assert tick.losses == {}  # those of the training pictures have no noise
        if number == stop_at:
            os.kill(os.getpid(), signal.SIGINT)
    return torch.cat([p.detach().flatten() for p in run.task.network.parameters()])


def test_it_learns_in_the_steps_of_the_budget(budget):
    run = start(budget)
    finish(run)
    assert run.seen_pictures == STEPS * BATCH
    with torch.no_grad():
        predicted = run.task.network(tiny.images().pixels(8).float() / 127.5 - 1).argmax(1)
    assert (predicted.numpy() == tiny.images().labels).mean() > 0.9


def test_killed_twice_it_ends_with_the_same_weights_and_another_run_with_others(budget, tmp_path):
    with pytest.raises(Interrupted):
        finish(start(budget, tmp_path / "a"), stop_at=4)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    with pytest.raises(Interrupted):
        finish(start(budget, tmp_path / "b"), stop_at=3)
    once, twice = (finish(start(budget, tmp_path / name)) for name in "ab")
    assert torch.equal(once, twice)
    assert not torch.equal(once, finish(start(budget)))


def test_a_step_on_no_picture_is_noise_alone(budget):
    run = start(Budget(8.0, 1e-5, 8.0, 8.0, 1e-9, 1.0, STEPS, 1.0))
    before = torch.cat([p.detach().flatten().clone() for p in run.task.network.parameters()])
    assert not torch.equal(before, finish(run))


@pytest.mark.parametrize("changes", [{"pictures": 2 * STEPS * BATCH}, {"pictures": None, "minutes": 1.0}])
def test_more_steps_than_the_budgets_and_the_clock_are_refused(budget, changes):
    with pytest.raises(UsageError, match="steps of its budget"):
        start(budget, **changes)


def test_several_players_are_refused(budget):
    with pytest.raises(UsageError, match="one player"):
        start(budget, task=tiny.Tiny(noisy=False))


def test_several_processes_are_refused(budget, monkeypatch):
    monkeypatch.setattr("diptych.engine.distributed.ProcessGroup.__init__", _of_two)
    with pytest.raises(UsageError, match="one process"):
        start(budget)


def _of_two(self, device):
    self.world_size, self.rank, self.device = 2, 0, device
