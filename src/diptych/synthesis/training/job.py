"""A training run of a synthesizer, before it begins and when it ends."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from diptych.engine import checkpoint
from diptych.engine.loop import Run
from diptych.engine.task import Task, Tick
from diptych.synthesis import datasets
from diptych.synthesis.datasets import GEOMETRY, PreparedData
from diptych.synthesis.training.config import TrainingConfig, make_recipe
from diptych.synthesis.training.model_files import RunSummary
from diptych.synthesis.training.monitor import Monitor
from diptych.synthesis.training.run_result import RunResult

# Of the run, for the rehearsal of what follows training: late enough for the weights' average, early enough to plan by.
MIN_REHEARSAL_PROGRESS = 0.4


@dataclass(frozen=True)
class TrainingJob:
    """What a run trains on, how, and where its files go.

    Attributes
    ----------
    prepared, config
        The pictures, and the network's layout with how it is trained.
    length
        ``{"minutes": …}`` or ``{"pictures": …}``.
    settings
        The run's identity, JSON-able: a folder that holds a run with other settings is refused.
    seed
        Of the weights and of all noise.
    folder
        Of the artefact; ``None`` writes nothing.
    started
        ``time.monotonic()`` at which the time budget began.
    """

    prepared: PreparedData
    config: TrainingConfig
    length: Mapping[str, Any]
    settings: dict[str, Any]
    seed: int
    folder: Path | None
    started: float

    def is_finished(self) -> bool:
        """Whether the folder holds the finished model of this run; a :class:`UsageError` if it holds another run."""
        return checkpoint.is_finished(self.folder, self.settings)

    @cached_property
    def mirrored(self) -> bool:
        """Whether half of the pictures are mirrored in training."""
        return datasets.is_mirror_symmetric(self.prepared, self.seed)

    def start(self, task: Task) -> Run:
        """The engine's run, at its beginning or where it was interrupted."""
        return Run(
            task,
            self.prepared.training,
            size=self.prepared.size,
            geometry=GEOMETRY,
            recipe=make_recipe(self.config, self.length, self.mirrored, self.seed),
            folder=self.folder,
            settings=self.settings,
            started=self.started,
        )

    def facts(self) -> dict[str, Any]:
        """Configuration and length, for the report; JSON-able."""
        return {**self.config.facts(), **self.length, "mirrored": self.mirrored}

    def is_rehearsal_due(self, run: Run, tick: Tick) -> bool:
        """Whether to rehearse what follows training: once, in a run with a time budget."""
        timed = self.length.get("minutes") is not None
        return timed and not run.rehearsed and not tick.done and tick.progress > MIN_REHEARSAL_PROGRESS


@dataclass(frozen=True)
class EndedRun:
    """A run that ends with the tick ``last``, whether it does or is only rehearsed to."""

    job: TrainingJob
    monitor: Monitor
    last: Tick

    @cached_property
    def result(self) -> RunResult:
        """The weights that it ends with, and their scores."""
        return self.monitor.result(self.last)

    def summary(self, grid: bytes) -> RunSummary:
        """What its report shows, with a ``grid`` of samples of the finished model, a PNG."""
        run = self.monitor.run
        facts = {**self.job.facts(), "machine": str(run.machine), **self.monitor.facts()}
        frames = self.monitor.grids.frames()
        return RunSummary(self.job.prepared, facts, self.result, run.history.records, grid, frames)
