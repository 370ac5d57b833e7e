"""The stages of fitting a recognizer with a privacy promise: prepare, plan the budget, train, calibrate, report.

Nothing that the training pictures tell leaves these stages without noise: no embedding index, no digests, no counts,
no losses, and no choice by their contents. The held-out pictures are not covered; the scores and the calibration are
theirs.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from diptych.data.images import Images
from diptych.engine import machine
from diptych.engine.machine import Machine
from diptych.recognition import datasets, networks
from diptych.recognition.confidence.calibrate import fit_decision_rule
from diptych.recognition.training import run
from diptych.recognition.training.budget import Budget as TimeBudget
from diptych.recognition.training.fit import FitResult, FittedModel, fit_result
from diptych.recognition.training.private.private_config import (
    build_private,
    private_config,
    private_network_and_size,
)
from diptych.recognition.training.private.private_last_layer import train_last_layer
from diptych.recognition.training.run import Job


def fit_privately(
    parameters: Mapping[str, Any],
    images: Images,
    validate: Images | None,
    *,
    folder: Path | None,
    settings: Mapping[str, Any],
    started: float,
) -> FitResult:
    """Train, or continue, within the budget; see :meth:`Recognizer.fit`."""
    networks.require_weights(parameters["network"])
    datasets.check_labels(images)
    seed = parameters["seed"]
    network_name, size, notes = private_network_and_size(parameters, datasets.median_side(images))
    data = datasets.prepare(images, validate, size, seed).with_notes(*notes)
    network = build_private(network_name, len(data.training.classes), size, seed)
    chosen, budget = private_config(parameters, network_name, size, len(data.training))
    job = Job(
        network=network,
        proxy=None,
        config=chosen,
        training=data.training,
        validation=data.validation,
        class_shares=None,
        series=None,
        folder=folder,
        settings={**settings, "network": networks.name_of(network_name)},
        budget=TimeBudget(None, started, math.inf, budget.steps * chosen.batch),
        report_seconds=0.0,
        reserve_seconds=0.0,
        seed=seed,
        privacy=budget,
    )
    result = train_last_layer(job, budget) if network.pretrained else run.train(job)
    Machine(machine.device()).prepare([network], [network])
    rule = fit_decision_rule(result.outputs, job.validation, None)
    return fit_result(FittedModel(job=job, data=data, result=result, rule=rule, index=None), seed, None)
