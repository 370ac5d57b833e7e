"""From a person's pictures to a judged recognizer: preparation, training, cures, calibration, report."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from diptych.data.images import Images
from diptych.data.transforms import to_float
from diptych.engine import checkpoint, machine
from diptych.engine.machine import Machine
from diptych.recognition import datasets, networks
from diptych.recognition.confidence.calibrate import fit_decision_rule
from diptych.recognition.confidence.decision import DecisionRule
from diptych.recognition.datasets import PreparedData
from diptych.recognition.evaluation import evaluate
from diptych.recognition.evaluation.worst_errors import FORWARD_PASSES, ErrorExplainer
from diptych.recognition.inference.embeddings import MAX_PICTURES, EmbeddingIndex, rows_to_index
from diptych.recognition.inference.outputs import Outputs, compute_outputs
from diptych.recognition.networks.pretrained import Pretrained
from diptych.recognition.training import config, finetune, imbalance, run, tta_selection
from diptych.recognition.training.budget import Budget
from diptych.recognition.training.run import Job, TrainingResult
from diptych.report import Report, Table, figures

log = logging.getLogger("diptych")
REPORT_SECONDS = 4.0  # what writing the artefact and the report takes
MEMORY_SHARE = 0.05  # of a run at most goes into remembering training pictures,
LEAST_REMEMBERED, LEAST_UNHURRIED = 100, 1000  # but so many are remembered, with a time budget and without
VALIDATION_SHARE, VALIDATION_SECONDS = 0.1, 20.0  # of a time budget at most, for one look at the validation pictures,
LEAST_JUDGED = 100  # but at so many
VIEWS_SHARE = 0.05  # of a run at most, for finding out whether looking again at doubtful pictures pays


@dataclass(frozen=True)
class FitResult:
    """What a run hands over."""

    network: networks.Network
    size: int
    decision_rule: DecisionRule
    embedding_index: EmbeddingIndex
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
) -> FitResult:
    """Train, or continue, and judge on the validation pictures; see :meth:`Recognizer.fit`."""
    datasets.check_labels(images)
    side = datasets.median_side(images)
    network_name, size, notes = config.choose_network_and_size(parameters, side)
    prepared = datasets.prepare(images, validate, size, parameters["seed"])
    training = prepared.training
    sample = training[config.sample_rows(len(training), size)].pixels(size)
    begun = None if folder is None else checkpoint.stored_settings(folder)
    network_name = config.choose_variant(parameters, network_name, training, sample, begun)
    chosen = config.make_config(parameters, network_name, size, training, sample)
    network = _fresh(chosen.network, chosen.size, len(training.classes), sample, parameters["seed"])
    proxy, proxy_name = None, chosen.training.proxy
    if proxy_name is not None:
        proxy = _fresh(proxy_name, chosen.size, len(training.classes), sample, parameters["seed"])
    shown = math.inf if chosen.epochs is None else chosen.epochs * len(training)
    budget = Budget.measured(network, sample, chosen.minutes, started, shown)
    prepared = _affordable(prepared, budget, notes)
    least = LEAST_UNHURRIED if budget.minutes is None else LEAST_REMEMBERED
    kept = training[rows_to_index(training.labels, budget.pictures(MEMORY_SHARE, least, MAX_PICTURES))]
    job = Job(
        network,
        proxy,
        chosen,
        training,
        prepared.validation,
        imbalance.class_shares(training)
        if parameters["imbalance"] == "auto" and imbalance.is_uneven(training)
        else None,
        folder,
        {**settings, "network": networks.name_of(network_name), "proxy": proxy_name},
        budget,
        REPORT_SECONDS
        + budget.each * (len(prepared.validation) + len(kept) + FORWARD_PASSES + _looks(budget, network, prepared)),
        parameters["seed"],
    )
    learned = (finetune if isinstance(network, Pretrained) else run).train(job)
    Machine(machine.device()).prepare([network], [network])  # as a loaded model is: plain
    remembered = compute_outputs(network, kept, size, title="Remembering")
    memory = EmbeddingIndex.of(remembered.features, remembered.slopes, kept.labels, kept.paths)
    learned = _cured(job, learned, remembered, kept)
    most = _looks(budget, network, prepared)
    seen = tta_selection.select_tta(network, prepared.validation, learned.seen, size, chosen.augment, most)
    learned = replace(learned, seen=seen)
    reading = fit_decision_rule(learned.seen, prepared.validation, memory)
    return _judged(job, learned, prepared, reading, memory)


def _fresh(name: str | type[nn.Module], size: int, classes: int, sample: Tensor, seed: int) -> networks.Network:
    """A network at its start, the same for the same seed whatever was drawn before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = networks.build(name, classes=classes, size=size)
    network.adapt(to_float(sample))
    return network


def _affordable(prepared: PreparedData, budget: Budget, notes: Sequence[str]) -> PreparedData:
    """As many validation pictures as the time budget can judge, and what there is to note."""
    images = prepared.validation
    share = min(VALIDATION_SHARE, VALIDATION_SECONDS / budget.seconds)
    most = len(images) if budget.minutes is None else budget.pictures(share, LEAST_JUDGED, len(images))
    if most >= len(images):
        return replace(prepared, notes=(*notes, *prepared.notes))
    note = f"The time allows to judge on {most} of the {len(images)} validation pictures."
    log.info("%s", note)
    order = np.arange(len(images)) if images.multi_label else np.argsort(images.labels, kind="stable")
    rows = np.sort(order[np.linspace(0, len(images) - 1, most).round().astype(np.int64)])
    return replace(prepared, validation=images[rows], notes=(*notes, *prepared.notes, note))


def _looks(budget: Budget, network: networks.Network, prepared: PreparedData) -> int:
    """How many looks from other sides may be tried; none with a pretrained backbone, which one look costs enough."""
    most = 0 if isinstance(network, Pretrained) else tta_selection.VIEWS_EACH * len(prepared.validation)
    return budget.pictures(VIEWS_SHARE, 0, round(most))


def _cured(job: Job, learned: TrainingResult, remembered: Outputs, kept: Images) -> TrainingResult:
    """Make up for uneven classes, if they are to count the same."""
    if job.shares is None:
        return learned
    hurry = job.budget.minutes is not None
    network, validation = job.network, job.validation
    seen, cure = imbalance.rebalance(network, learned.seen, validation, remembered, kept, job.shares, hurry=hurry)
    note = cure.note(job.shares)
    log.info("%s", note)
    tables = {**learned.tables, "Against uneven classes": cure.table()}
    return replace(learned, seen=seen, notes=[*learned.notes, note], tables=tables)


def _judged(
    job: Job, learned: TrainingResult, prepared: PreparedData, reading: DecisionRule, memory: EmbeddingIndex
) -> FitResult:
    """Report, facts and data of a run that has ended."""
    training, validation, network, chosen = prepared.training, prepared.validation, job.network, job.chosen
    witness = ErrorExplainer(network, chosen.size, memory)
    title = f"Recognizer of {len(reading.classes)} classes"
    report = evaluate.evaluation_report(title, validation, learned.seen.logits, reading, witness)
    told = {
        "pictures": len(training),
        "validation_pictures": len(validation),
        "seen_pictures": learned.seen_pictures,
        "seconds": round(learned.seconds, 1),
        "machine": learned.machine,
        **chosen.facts(),
        "notes": [*prepared.notes, *learned.notes],
    }
    facts = {
        "network": networks.name_of(chosen.network),
        "classes": list(reading.classes),
        "multi_label": reading.multi_label,
        "size": chosen.size,
        "geometry": "squash",
        "scores": {name: score.json() for name, score in report.scores.items()},
        "seen_pictures": learned.seen_pictures,
        "seconds": told["seconds"],
        "training": told,
        **({"backbone": network.backbone_facts} if network.pretrained else {}),
        **({"tta": network.tta.to_json()} if network.tta else {}),
    }
    _complete(report, learned, prepared, facts)
    data = _data(prepared, memory, job.seed)
    return FitResult(network, chosen.size, reading, memory, report, facts, data, learned.leader)


def _complete(report: Report, learned: TrainingResult, prepared: PreparedData, facts: Mapping[str, Any]) -> None:
    """Add what a training run's report shows besides the scores: curves, what was tried, data, settings."""
    report.figures = {"Loss and score over the run": figures.curves(learned.history), **report.figures}
    report.findings += facts["training"]["notes"]
    report.tables |= learned.tables
    training, validation = prepared.training.counts(), prepared.validation.counts()
    rows = [[name, training[name], validation[name]] for name in training]
    report.tables["Pictures of each class"] = Table(["class", "training", "validation"], list(rows))
    shown = {k: v for k, v in facts["training"].items() if k != "notes"}
    report.facts |= {"network": facts["network"], "size": facts["size"], **shown}


def _data(prepared: PreparedData, memory: EmbeddingIndex, seed: int) -> dict[str, Any]:
    """What ``data.json`` holds."""
    training, validation = prepared.training, prepared.validation
    return {
        "training": {"counts": training.counts(), "fingerprint": training.fingerprint()},
        "validation": {
            "counts": validation.counts(),
            "fingerprint": validation.fingerprint(),
            "pictures": validation.paths.tolist(),
        },
        "indexed": list(memory.paths),
        "split_seed": seed,
        "skipped": [{"path": e.path, "reason": e.reason} for e in training.skipped],
    }
