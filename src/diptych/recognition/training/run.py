"""The training run of a network: the engine's loop, and the scores on the way."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diptych.data.combine import with_labels
from diptych.data.images import Images
from diptych.engine.history import Record
from diptych.engine.loop import Run
from diptych.engine.machine import Machine
from diptych.engine.privacy.budget import Budget as PrivacyBudget
from diptych.engine.privacy.private_run import PrivateRun
from diptych.engine.schedule import triangle
from diptych.engine.stopping import draft
from diptych.engine.task import Recipe
from diptych.errors import Interrupted
from diptych.metrics import classification
from diptych.recognition import datasets
from diptych.recognition.confidence.temperature import MULTI_LABEL_THRESHOLD
from diptych.recognition.inference.outputs import Outputs, compute_outputs
from diptych.recognition.networks import Network
from diptych.recognition.settings import GROUP_DRO
from diptych.recognition.training import imbalance
from diptych.recognition.training.budget import Budget
from diptych.recognition.training.config import TrainingConfig
from diptych.recognition.training.remedies.group_dro import GroupDRO
from diptych.recognition.training.remedies.remedy import Outcome, Remedy
from diptych.recognition.training.task import ClassificationTask, SelectionViaProxy
from diptych.report import Table

MAX_SCORED, MIN_SCORED = 1000, 50  # validation pictures scored on the way
SCORING_SHARE = 0.02  # of the time at most goes into scores on the way
ONE_SCORING_SHARE = SCORING_SHARE / 5  # and into one of them


@dataclass(frozen=True, kw_only=True)
class Job:
    """All that a network is trained with.

    Attributes
    ----------
    proxy
        The small network that is trained along, where the recipe has one.
    class_shares
        (K,) of the classes among the training pictures, if each is to count the same; else ``None``.
    series
        (N,) of the training pictures, see :mod:`diptych.data.series`; ``None``: not known.
    settings
        The run's identity.
    report_seconds
        Of the budget, for what follows training in any case.
    reserve_seconds
        The same with the outputs for validation and indexed pictures, which a network that was tuned as a whole has
        to compute.
    schedule_start
        As of a :class:`Recipe`: above 0 in the extension of a finished recognizer.
    remedy
        Against unequal groups; ``None``: none.
    privacy
        The budget of a private training; ``None``: it promises nothing.
    """

    network: Network
    proxy: Network | None
    config: TrainingConfig
    training: Images
    validation: Images
    class_shares: Tensor | None
    series: NDArray[np.int64] | None
    folder: Path | None
    settings: Mapping[str, Any]
    budget: Budget
    report_seconds: float
    reserve_seconds: float
    seed: int
    schedule_start: float = 0.0
    remedy: Remedy | None = None
    privacy: PrivacyBudget | None = None

    @property
    def is_extension(self) -> bool:
        """Whether it trains a finished recognizer further."""
        return self.schedule_start > 0

    def score(self, logits: Tensor, images: Images) -> tuple[str, float]:
        """The name and value of the score that training is to raise, of (N, K) logits."""
        targets = datasets.targets(images)
        if images.multi_label:
            return "macro F1", classification.macro_f1(targets, logits.sigmoid() >= MULTI_LABEL_THRESHOLD)
        if self.class_shares is not None:
            adjusted = imbalance.adjusted_balanced_accuracy(logits, targets, self.class_shares)
            return "balanced accuracy", adjusted
        return "accuracy", classification.accuracy(targets, logits.argmax(1))


@dataclass(frozen=True)
class TrainingResult:
    """A trained network's outputs for the validation pictures, and the record of its run."""

    outputs: Outputs
    seen_pictures: int
    seconds: float
    machine: str
    history: list[Record]
    leader: bool
    frozen: bool = False  # whether the layers before the head are as they were pretrained
    training: Outputs | None = None  # for the training pictures, where training gave them
    notes: list[str] = field(default_factory=list)
    tables: dict[str, Table] = field(default_factory=dict)
    untuned: str = ""  # why the backbone was not tuned; empty: it was
    outcome: Outcome | None = None  # of the remedy
    stopped: Interrupted | None = None  # by what, before the run's end; then this is a draft


def train(job: Job) -> TrainingResult:
    """Train the network, or continue."""
    run = start_run(job)
    try:
        return training_result(run, run_to_end(job, run))
    except Interrupted as stop:
        stopped = draft.begin(stop, job.folder, extension=job.is_extension)
        Machine(run.machine.device).prepare([job.network], [job.network])
        outputs = compute_outputs(job.network, job.validation, job.config.size, title="Scoring")
        return replace(training_result(run, outputs), stopped=stopped, notes=[draft.NOTE])


def start_run(job: Job) -> Run:
    """The run, from its start or its last checkpoint."""
    config, pictures = job.config, len(job.training)
    length = None if config.epochs is None else max(config.batch, round(config.epochs * pictures))
    if job.privacy is not None:
        length = job.privacy.steps * config.batch
    recipe = Recipe(
        batch=config.batch,
        pictures=length,
        minutes=config.minutes,
        accumulate=math.gcd(config.batch, config.recipe.microbatches),
        schedule=triangle(config.recipe.warmup),
        augment=config.augment,
        half_life=round(config.recipe.half_life_epochs * pictures) or None,
        seed=job.seed,
        reserve_seconds=job.reserve_seconds,
        schedule_start=job.schedule_start,
    )
    task, images = _task(job)
    where: dict[str, Any] = {"folder": job.folder, "settings": job.settings, "started": job.budget.started}
    if job.privacy is not None:
        return PrivateRun(task, images, size=config.size, recipe=recipe, budget=job.privacy, **where)
    cells = job.remedy.cells.numbers if job.remedy and job.remedy.evens_batches else None
    return Run(task, images, cells=cells, size=config.size, recipe=recipe, **where)


def _task(job: Job) -> tuple[ClassificationTask, Images]:
    """The task, and the pictures with the labels that it takes: group-DRO's are cells."""
    recipe, lr, multi_label = job.config.recipe, job.config.lr, job.training.multi_label
    if job.remedy is not None and job.remedy.name == GROUP_DRO:
        cells = job.remedy.cells
        return GroupDRO(job.network, recipe, lr, cells), with_labels(job.training, cells.numbers, cells.names)
    if job.proxy is None:
        return ClassificationTask(job.network, recipe, lr, multi_label=multi_label), job.training
    return SelectionViaProxy(job.network, recipe, lr, multi_label=multi_label, proxy=job.proxy), job.training


def run_to_end(job: Job, run: Run) -> Outputs:
    """Iterate over the run, scoring on the way; the final outputs for all validation pictures."""
    count = job.budget.affordable(ONE_SCORING_SHARE, MIN_SCORED, MAX_SCORED)
    subset = job.validation[np.unique(np.linspace(0, len(job.validation) - 1, count).astype(np.int64))]
    spent, outputs = 0.0, Outputs(*(torch.empty(0) for _ in range(3)))
    for tick in run:
        if not tick.done and spent > SCORING_SHARE * tick.seconds:
            continue
        start = time.monotonic()
        images = job.validation if tick.done else subset
        outputs = compute_outputs(job.network, images, job.config.size, title="Scoring")
        name, value = job.score(outputs.logits, images)
        tick.scores[name] = value
        spent += time.monotonic() - start
    return outputs


def training_result(run: Run, outputs: Outputs) -> TrainingResult:
    """The record of a run that has ended."""
    return TrainingResult(
        outputs, run.seen_pictures, run.clock.seconds, str(run.machine), run.history.records, run.leader
    )
