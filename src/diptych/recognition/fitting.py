"""One training run of a recognizer: network, loop, scores on the way, calibration and report at the end."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from diptych.data.images import Images
from diptych.data.transforms import to_float
from diptych.engine import machine
from diptych.engine.loop import Run
from diptych.engine.schedule import triangle
from diptych.engine.task import Recipe, Tick
from diptych.metrics import classification as scores
from diptych.recognition import choices, evaluation, networks, preparation
from diptych.recognition.calibration import EVEN
from diptych.recognition.choices import Choices
from diptych.recognition.memory import MOST, Memory, rows_to_remember
from diptych.recognition.observed import Observed, observe
from diptych.recognition.prediction import Reading
from diptych.recognition.preparation import Prepared
from diptych.recognition.training import Classification
from diptych.recognition.trust import calibrated
from diptych.recognition.worst import FORWARD_PASSES, Witness
from diptych.report import Report, Table, figures

log = logging.getLogger("diptych")
SCORED_ON_THE_WAY = 1000  # validation pictures at most
SCORING_SHARE = 0.02  # of the time at most goes into scores on the way
REPORT_SECONDS = 4.0  # what writing the artefact and the report takes
MEMORY_SHARE = 0.05  # of a time budget at most goes into remembering training pictures,
LEAST_REMEMBERED = 200  # but so many are remembered


@dataclass(frozen=True)
class Fitted:
    """What a run hands over."""

    network: networks.Network
    size: int
    reading: Reading
    memory: Memory
    report: Report
    facts: dict[str, Any]
    data: dict[str, Any]
    leader: bool


def fit(
    parameters: Mapping[str, Any],
    images: Images,
    validate: Images | None,
    folder: Path | None,
    settings: Mapping[str, Any],
    started: float,
) -> Fitted:
    """Train, or continue, and judge on the validation pictures; see :meth:`Recognizer.fit`."""
    preparation.check_labels(images)
    side = preparation.picture_size(images)
    network_name, size = choices.network_and_size(parameters, side)
    prepared = preparation.prepare(images, validate, size, parameters["seed"])
    training = prepared.training
    sample = training[choices.sample_rows(len(training), size)].pixels(size)
    chosen = choices.choose(parameters, network_name, size, training, sample)
    network = _fresh(chosen, len(training.classes), sample, parameters["seed"])
    task = Classification(network, chosen.training, chosen.lr, multi_label=training.multi_label)
    each = _seconds_a_picture(network, sample)
    kept = training[rows_to_remember(training.labels, _affordable(each, chosen.minutes))]
    reserve = REPORT_SECONDS + each * (len(prepared.validation) + len(kept) + FORWARD_PASSES)
    run = Run(
        task,
        training,
        size=size,
        recipe=_recipe(chosen, len(training), reserve, parameters["seed"]),
        folder=folder,
        settings=settings,
        started=started,
    )
    seen = _train(run, network, prepared.validation, size)
    machine.Machine(run.machine.device).prepare([network], [network])  # as a loaded model is: plain
    learned = observe(network, kept, size, title="Remembering")
    memory = Memory.of(learned.features, learned.slopes, kept.labels, kept.paths)
    reading = calibrated(seen, prepared.validation, memory)
    return _judged(run, network, chosen, prepared, seen.logits, reading, memory, parameters)


def _fresh(chosen: Choices, classes: int, sample: Tensor, seed: int) -> networks.Network:
    """The network at its start, the same for the same seed whatever was drawn before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = networks.build(chosen.network, classes=classes, size=chosen.size)
    network.adapt(to_float(sample))
    return network


def _recipe(chosen: Choices, pictures: int, reserve: float, seed: int) -> Recipe:
    length = None if chosen.epochs is None else max(chosen.batch, round(chosen.epochs * pictures))
    return Recipe(
        batch=chosen.batch,
        pictures=length,
        minutes=chosen.minutes,
        schedule=triangle(chosen.training.warmup),
        augment=chosen.augment,
        half_life=round(chosen.training.half_life_epochs * pictures) or None,
        seed=seed,
        reserve_seconds=reserve,
    )


def _affordable(each: float, minutes: float | None) -> int:
    """How many pictures to remember, where ``each`` takes so many seconds: whatever the budget, a few."""
    return MOST if minutes is None else min(MOST, max(LEAST_REMEMBERED, int(MEMORY_SHARE * 60 * minutes / each)))


def _seconds_a_picture(network: nn.Module, sample: Tensor) -> float:
    """About how long scoring a picture will take, from a trial on a few."""
    where = machine.device()
    few = to_float(sample[:32].to(where))
    network.to(where).eval()
    seconds = []
    with torch.inference_mode():
        for _ in range(2):  # the first warms up
            start = time.monotonic()
            network(few)
            seconds.append(time.monotonic() - start)
    network.train()
    return 1.5 * seconds[-1] / len(few)


def _train(run: Run, network: networks.Network, validation: Images, size: int) -> Observed:
    """Iterate over the run, scoring on the way; what is finally seen of all validation pictures."""
    rows = np.unique(np.linspace(0, len(validation) - 1, SCORED_ON_THE_WAY).astype(np.int64))
    some = validation[rows]
    spent = 0.0
    for tick in run:
        if not tick.done and spent > SCORING_SHARE * tick.seconds:
            continue
        start = time.monotonic()
        asked = validation if tick.done else some
        seen = observe(network, asked, size, title="Scoring")
        _score(tick, seen.logits, asked)
        spent += time.monotonic() - start
    return seen


def _score(tick: Tick, answers: Tensor, images: Images) -> None:
    truth = preparation.truth(images)
    if images.multi_label:
        tick.scores["macro F1"] = scores.macro_f1(truth, answers.sigmoid() >= EVEN)
    else:
        tick.scores["accuracy"] = scores.accuracy(truth, answers.argmax(1))


def _judged(
    run: Run,
    network: networks.Network,
    chosen: Choices,
    prepared: Prepared,
    answers: Tensor,
    reading: Reading,
    memory: Memory,
    parameters: Mapping[str, Any],
) -> Fitted:
    """Report, facts and data of a run that has ended."""
    training, validation = prepared.training, prepared.validation
    witness = Witness(network, chosen.size, memory)
    title = f"Recognizer of {len(reading.classes)} classes"
    report = evaluation.report(title, validation, answers, reading, witness)
    told = {
        "pictures": len(training),
        "validation_pictures": len(validation),
        "seen_pictures": run.seen_pictures,
        "seconds": round(run.clock.seconds, 1),
        "machine": str(run.machine),
        **chosen.facts(),
        "notes": list(prepared.notes),
    }
    facts = {
        "network": networks.name_of(chosen.network),
        "classes": list(reading.classes),
        "multi_label": reading.multi_label,
        "size": chosen.size,
        "geometry": "squash",
        "scores": {name: score.json() for name, score in report.scores.items()},
        "seen_pictures": run.seen_pictures,
        "seconds": told["seconds"],
        "training": told,
    }
    _complete(report, run.history.records, prepared, facts)
    data = _data(prepared, memory, parameters["seed"])
    return Fitted(network, chosen.size, reading, memory, report, facts, data, run.leader)


def _complete(
    report: Report, history: Sequence[Mapping[str, Any]], prepared: Prepared, facts: Mapping[str, Any]
) -> None:
    """Add what a training run's report shows besides the scores: curves, data, settings."""
    report.figures = {"Loss and score over the run": figures.curves(history), **report.figures}
    report.findings += prepared.notes
    training, validation = prepared.training.counts(), prepared.validation.counts()
    rows = [[name, training[name], validation[name]] for name in training]
    report.tables["Pictures of each class"] = Table(["class", "training", "validation"], list(rows))
    shown = {k: v for k, v in facts["training"].items() if k != "notes"}
    report.facts |= {"network": facts["network"], "size": facts["size"], **shown}


def _data(prepared: Prepared, memory: Memory, seed: int) -> dict[str, Any]:
    """What ``data.json`` holds."""
    training, validation = prepared.training, prepared.validation
    return {
        "training": {"counts": training.counts(), "fingerprint": training.fingerprint()},
        "validation": {
            "counts": validation.counts(),
            "fingerprint": validation.fingerprint(),
            "pictures": validation.paths.tolist(),
        },
        "remembered": list(memory.paths),
        "split_seed": seed,
        "skipped": [{"path": e.path, "reason": e.reason} for e in training.skipped],
    }
