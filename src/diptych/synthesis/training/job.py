"""A training run of a synthesizer, before it begins and when it ends."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from diptych import artefact
from diptych.data.messages import counted
from diptych.engine import checkpoint, picture_record
from diptych.engine.loop import Run
from diptych.engine.privacy.budget import Budget
from diptych.engine.privacy.private_run import PrivateRun
from diptych.engine.stopping import draft
from diptych.engine.task import Task, Tick
from diptych.engine.warm_start.extension import Extension
from diptych.errors import Interrupted
from diptych.progress import without_bars
from diptych.report import Verdict
from diptych.synthesis import datasets
from diptych.synthesis.datasets import GEOMETRY, PreparedData
from diptych.synthesis.protocols import SampledModel
from diptych.synthesis.training.brief_sampler import BriefSampler
from diptych.synthesis.training.config import PRIVATE_COPIES, TrainingConfig, make_recipe
from diptych.synthesis.training.model_files import RunSummary
from diptych.synthesis.training.monitor import Monitor
from diptych.synthesis.training.run_result import RunResult
from diptych.synthesis.training.sample_grids import EvaluationSamples, SampleGrids, sample_grid
from diptych.synthesis.training.warm_start import WarmStart

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
    warm_start
        Whose weights it starts from; ``None``: fresh ones.
    extension
        Of the finished model that it trains further; ``None``: a model's first run.
    privacy
        The budget of a private training; ``None``: it promises nothing.
    """

    prepared: PreparedData
    config: TrainingConfig
    length: Mapping[str, Any]
    settings: dict[str, Any]
    seed: int
    folder: Path | None
    started: float
    warm_start: WarmStart | None = None
    extension: Extension | None = None
    privacy: Budget | None = None

    def extended(self, extension: Extension, warm_start: WarmStart) -> "TrainingJob":
        """The job of an extension of the model that this one is of."""
        return replace(
            self,
            length={"minutes": extension.minutes},
            settings=extension.settings if extension.folder else self.settings,
            folder=extension.folder,
            warm_start=warm_start,
            extension=extension,
        )

    def is_finished(self) -> bool:
        """Whether the folder holds the finished model of this run; a :class:`UsageError` if it holds another run."""
        picture_record.check(self.folder, self.settings, self.prepared.training, self.prepared.held_out)
        return checkpoint.is_finished(self.folder, self.settings)

    @cached_property
    def mirrored(self) -> bool:
        """Whether half of the pictures are mirrored in training; with privacy none are, since their look decides it."""
        return self.privacy is None and datasets.is_mirror_symmetric(self.prepared, self.seed)

    def start(self, task: Task) -> Run:
        """The engine's run, at its beginning or where it was interrupted."""
        if self.extension is None and self.privacy is None:  # it would give the training pictures away
            picture_record.write(self.folder, self.prepared.training, self.prepared.held_out)
        extension, seed, schedule_start = self.extension, self.seed, 0.0
        if extension is not None:
            seed, schedule_start = seed + extension.seed, extension.schedule_start
        recipe = replace(make_recipe(self.config, self.length, self.mirrored, seed), schedule_start=schedule_start)
        training, size = self.prepared.training, self.prepared.size
        where: dict[str, Any] = {"folder": self.folder, "settings": self.settings, "started": self.started}
        if self.privacy is not None:
            where |= {"budget": self.privacy, "copies": PRIVATE_COPIES}
            return PrivateRun(task, training, size=size, geometry=GEOMETRY, recipe=recipe, **where)
        return Run(task, training, size=size, geometry=GEOMETRY, recipe=recipe, **where)

    def facts(self) -> dict[str, Any]:
        """Configuration and length, for the report; JSON-able. Extensions have a table of their own for theirs."""
        length = self.length if self.extension is None else {}
        return {**self.config.facts(), **length, **self.origin(), "mirrored": self.mirrored}

    def sentence(self, weights: int) -> str:
        """What was chosen for the run, for a person; ``weights`` is the number of those in its networks."""
        size, config = self.prepared.size, self.config
        minutes, pictures = self.length.get("minutes"), self.length.get("pictures", 0)
        length = f"on {counted(pictures, 'picture')} in all" if minutes is None else f"within {minutes:g} min"
        mirrored = "half of them mirrored" if self.mirrored else "none of them mirrored"
        return (
            f"Chosen: networks of {weights:,} weights, trained {length}, at {size} px, in batches of {config.batch}, "
            f"{mirrored}, with a learning rate of {config.lr:.2g}."
        )

    def origin(self) -> dict[str, Any]:
        """Where the model's first weights came from, for ``model.json``; empty if they were fresh."""
        if self.extension is not None:
            return {name: self.extension.facts[name] for name in ("started_from",) if name in self.extension.facts}
        if self.warm_start is None:
            return {}
        return {"started_from": {"weights": self.settings["start"], "classes": len(self.warm_start.classes)}}

    def grids(self, run: Run) -> SampleGrids:
        """The grids of samples of the run, behind those of the model that it extends."""
        folder, extension = self.folder if run.leader else None, self.extension
        if extension is None:
            return SampleGrids(folder, run.seen_pictures)
        return SampleGrids(folder, run.seen_pictures, extension.model_folder, extension.facts["seen_pictures"])

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
    stopped: Interrupted | None = None  # by what, before the end of the run or of what follows; then it is a draft
    brief: BriefSampler | None = None  # of a rehearsal

    @cached_property
    def result(self) -> RunResult:
        """The weights that it ends with, and their scores."""
        result = self.monitor.result(self.last)
        return replace(result, notes=[*result.notes, draft.NOTE]) if self.stopped else result

    def as_draft(self, stop: draft.Stop) -> "EndedRun":
        """The same, stopped; where a stopped run leaves no draft, ``stop`` is raised again."""
        return replace(self, stopped=draft.begin(stop, self.job.folder, extension=self.job.extension is not None))

    def rehearse(self, finish: Callable[["EndedRun"], None], extra_seconds: float) -> None:
        """Time what follows training, on a copy of the model, which this ``finish`` is of.

        ``extra_seconds`` will follow besides.
        """
        monitor, run, brief = self.monitor, self.monitor.run, BriefSampler()
        extra_seconds += monitor.rehearse(self.last, extended=self.job.extension is not None)
        with without_bars(), run.rehearsal() as besides:
            finish(replace(self, brief=brief))
            (monitor.seconds_each,) = run.group.broadcast([brief.seconds_each])
            number = len(monitor.verdict_samples().labels)
            besides += [extra_seconds, brief.missing_seconds(number)]

    def sample(self, model: SampledModel, untuned: SampledModel | None) -> tuple[bytes, Verdict | None]:
        """A grid of samples of the completed model, a PNG, and the verdict on them; see :meth:`Monitor.finish`.

        On a draft there is none, since a person waits for the end.
        """
        if self.stopped:
            samples = EvaluationSamples.of(model.shares_)
            pixels = model.sample_pixels(samples.seeds, samples.labels)
            return sample_grid(pixels, model.generated_facts()), None
        extended = self.job.extension is not None
        seen = self.result.seen_pictures
        return self.monitor.finish(model, seen, extended=extended, untuned=untuned, brief=self.brief)

    def totals(self) -> dict[str, Any]:
        """Pictures seen and seconds, those before an extension included, and the privacy spent, for ``model.json``."""
        extension = self.job.extension
        before = {"seen_pictures": 0, "seconds": 0.0} if extension is None else extension.facts
        return {
            "seen_pictures": before["seen_pictures"] + self.result.seen_pictures,
            "seconds": round(before["seconds"] + self.last.seconds, 1),
            **({} if self.job.privacy is None else {"privacy": self.job.privacy.facts()}),
            **({artefact.UNFINISHED: {"progress": round(self.last.progress, 3)}} if self.stopped else {}),
        }

    def summary(self, grid: bytes, verdict: Verdict | None) -> RunSummary:
        """What its report shows, with a ``grid`` of samples of the finished model, a PNG, and the verdict on them."""
        run, extension = self.monitor.run, self.job.extension
        facts = {**self.job.facts(), "machine": str(run.machine), **self.monitor.facts()}
        privacy = None if self.job.privacy is None else self.job.privacy.facts()
        records = run.history.records
        history = records if extension is None else extension.history(records)
        result = replace(self.result, seen_pictures=self.totals()["seen_pictures"])
        return RunSummary(
            self.job.prepared, facts, result, history, grid, self.monitor.grids.frames(), verdict, privacy
        )
