"""The trial's step: as short as it may be, and without a trace."""

import torch

from diptych.engine.distributed import ProcessGroup
from diptych.engine.loader import Loader
from diptych.engine.machine import Machine
from diptych.engine.task import Recipe
from diptych.engine.trial import ENOUGH_ON_CPU, Trial
from tests.engine import tiny


def test_a_processor_is_told_by_few_pictures_and_modules_stay_as_they_were():
    task, where = tiny.Tiny(), torch.device("cpu")
    before = tiny.weights(task)
    for batch, parts, pictures in ((16, 1, 16), (512, 1, ENOUGH_ON_CPU), (600, 3, 129)):
        feed = Loader(tiny.images(), 8, "squash", batch, 0, ProcessGroup(where))
        trial = Trial(task, task.modules(), Recipe(batch=batch, pictures=batch, accumulate=parts), feed)
        trial(Machine(where))
        assert trial.pictures == pictures
    assert all(torch.equal(before[name], after) for name, after in tiny.weights(task).items())


def test_what_is_compiled_before_a_run_is_its_step_at_the_start_and_at_the_end(monkeypatch):
    task, where, told = tiny.Tiny(), torch.device("cpu"), []
    monkeypatch.setattr(task, "before_step", told.append, raising=False)
    before = tiny.weights(task)
    feed = Loader(tiny.images(), 8, "squash", 16, 0, ProcessGroup(where))
    Trial(task, task.modules(), Recipe(batch=16, pictures=16), feed).compile(Machine(where))
    assert told == [0.0, 1.0]
    assert all(torch.equal(before[name], after) for name, after in tiny.weights(task).items())
