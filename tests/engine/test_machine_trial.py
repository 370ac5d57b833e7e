"""The trial's step is short and leaves the modules unchanged."""

import torch

from diptych.engine.distributed import ProcessGroup
from diptych.engine.loader import Loader
from diptych.engine.machine import Machine
from diptych.engine.machine_trial import MAX_CPU_TRIAL_PICTURES, Trial
from diptych.engine.task import Recipe
from tests.engine import tiny


def test_on_a_cpu_few_pictures_are_timed_and_modules_stay_unchanged():
    task, device = tiny.Tiny(), torch.device("cpu")
    before = tiny.weights(task)
    for batch, parts, pictures in ((16, 1, 16), (512, 1, MAX_CPU_TRIAL_PICTURES), (600, 3, 129)):
        loader = Loader(tiny.images(), 8, "squash", batch, 0, ProcessGroup(device))
        trial = Trial(task, task.modules(), Recipe(batch=batch, pictures=batch, accumulate=parts), loader)
        trial(Machine(device))
        assert trial.pictures == pictures
    assert all(torch.equal(before[name], after) for name, after in tiny.weights(task).items())


def test_compilation_covers_the_step_at_the_start_and_at_the_end_of_a_run(monkeypatch):
    task, device, progress = tiny.Tiny(), torch.device("cpu"), []
    monkeypatch.setattr(task, "before_step", progress.append, raising=False)
    before = tiny.weights(task)
    loader = Loader(tiny.images(), 8, "squash", 16, 0, ProcessGroup(device))
    Trial(task, task.modules(), Recipe(batch=16, pictures=16), loader).compile(Machine(device))
    assert progress == [0.0, 1.0]
    assert all(torch.equal(before[name], after) for name, after in tiny.weights(task).items())
