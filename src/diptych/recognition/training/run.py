"""From a network at its start to a trained one: the run, and the scores on the way."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from diptych.data.images import Images
from diptych.engine.history import Record
from diptych.engine.loop import Run
from diptych.engine.schedule import triangle
from diptych.engine.task import Recipe
from diptych.metrics import classification as scores
from diptych.recognition import datasets
from diptych.recognition.confidence.temperature import MULTI_LABEL_THRESHOLD
from diptych.recognition.inference.outputs import Outputs, compute_outputs
from diptych.recognition.networks import Network
from diptych.recognition.training import imbalance
from diptych.recognition.training.budget import Budget
from diptych.recognition.training.config import TrainingConfig
from diptych.recognition.training.task import Classification, SelectionViaProxy
from diptych.report import Table

SCORED_ON_THE_WAY = 1000  # validation pictures at most
LEAST_SCORED = 50  # and at least
SCORING_SHARE = 0.02  # of the time at most goes into scores on the way
ONE_SCORING = SCORING_SHARE / 5  # and into one of them


@dataclass(frozen=True)
class Job:
    """All that a network is trained with.

    Attributes
    ----------
    proxy
        The network that is trained along, where the recipe asks for one.
    shares
        (K,) of the classes among the training pictures, if each is to count the same; else ``None``.
    settings
        The run's identity.
    reserve_seconds
        Kept from the budget for what follows training.
    """

    network: Network
    proxy: Network | None
    chosen: TrainingConfig
    training: Images
    validation: Images
    shares: Tensor | None
    folder: Path | None
    settings: Mapping[str, Any]
    budget: Budget
    reserve_seconds: float
    seed: int

    def score(self, answers: Tensor, images: Images) -> tuple[str, float]:
        """The name and value of what training is to bring up, of (N, K) logits."""
        truth = datasets.targets(images)
        if images.multi_label:
            return "macro F1", scores.macro_f1(truth, answers.sigmoid() >= MULTI_LABEL_THRESHOLD)
        if self.shares is not None:
            return "balanced accuracy", imbalance.adjusted_balanced_accuracy(answers, truth, self.shares)
        return "accuracy", scores.accuracy(truth, answers.argmax(1))


@dataclass(frozen=True)
class TrainingResult:
    """A trained network's run: what it sees of the validation pictures, and what is told of the run."""

    seen: Outputs
    seen_pictures: int
    seconds: float
    machine: str
    history: list[Record]
    leader: bool
    notes: list[str] = field(default_factory=list)
    tables: dict[str, Table] = field(default_factory=dict)


def train(job: Job) -> TrainingResult:
    """Train the network, or continue."""
    run = start_run(job)
    return training_result(run, run_to_end(job, run))


def start_run(job: Job) -> Run:
    """The run, from its start or its last checkpoint."""
    chosen, pictures = job.chosen, len(job.training)
    length = None if chosen.epochs is None else max(chosen.batch, round(chosen.epochs * pictures))
    recipe = Recipe(
        batch=chosen.batch,
        pictures=length,
        minutes=chosen.minutes,
        accumulate=math.gcd(chosen.batch, chosen.training.microbatches),
        schedule=triangle(chosen.training.warmup),
        augment=chosen.augment,
        half_life=round(chosen.training.half_life_epochs * pictures) or None,
        seed=job.seed,
        reserve_seconds=job.reserve_seconds,
    )
    return Run(
        _task(job),
        job.training,
        size=chosen.size,
        recipe=recipe,
        folder=job.folder,
        settings=job.settings,
        started=job.budget.started,
    )


def _task(job: Job) -> Classification:
    recipe, lr, several = job.chosen.training, job.chosen.lr, job.training.multi_label
    if job.proxy is None:
        return Classification(job.network, recipe, lr, multi_label=several)
    return SelectionViaProxy(job.network, recipe, lr, multi_label=several, proxy=job.proxy)


def run_to_end(job: Job, run: Run) -> Outputs:
    """Iterate over the run, scoring on the way; what is finally seen of all validation pictures."""
    most = job.budget.pictures(ONE_SCORING, LEAST_SCORED, SCORED_ON_THE_WAY)
    some = job.validation[np.unique(np.linspace(0, len(job.validation) - 1, most).astype(np.int64))]
    spent, seen = 0.0, Outputs(*(torch.empty(0) for _ in range(3)))
    for tick in run:
        if not tick.done and spent > SCORING_SHARE * tick.seconds:
            continue
        start = time.monotonic()
        asked = job.validation if tick.done else some
        seen = compute_outputs(job.network, asked, job.chosen.size, title="Scoring")
        name, value = job.score(seen.logits, asked)
        tick.scores[name] = value
        spent += time.monotonic() - start
    return seen


def training_result(run: Run, seen: Outputs) -> TrainingResult:
    """What is told of a run that has ended."""
    return TrainingResult(seen, run.seen_pictures, run.clock.seconds, str(run.machine), run.history.records, run.leader)
