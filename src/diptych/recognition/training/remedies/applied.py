"""Remedies at work: on the features of a frozen backbone, and on the last layer of a network that was trained."""

import logging
from dataclasses import replace

import numpy as np
import torch

from diptych.data.images import Images
from diptych.engine import checkpoint, machine
from diptych.engine.distributed import ProcessGroup
from diptych.engine.loader import label_tensor
from diptych.recognition.inference.embedder import Embedder
from diptych.recognition.inference.outputs import Outputs, compute_outputs
from diptych.recognition.training.remedies.cells import Cells
from diptych.recognition.training.remedies.remedy import TABLE, Outcome, Remedy, remedied_head
from diptych.recognition.training.run import Job, TrainingResult
from diptych.recognition.training.transfer.finetune import result_without_run, with_head
from diptych.recognition.training.transfer.logistic_regression import LabelledFeatures
from diptych.recognition.training.transfer.probe import fit_probe, set_head

log = logging.getLogger("diptych")
UNTUNED = (
    "The backbone was not tuned: a remedy fits the head alone, on features that no training has bent to a shortcut."
)


def train_head(job: Job) -> TrainingResult:
    """Fit a head to a pretrained backbone's features without the remedy, then with it."""
    remedy, group = job.remedy, ProcessGroup(machine.device())
    assert remedy is not None
    if job.folder and group.leader:
        checkpoint.claim(job.folder, job.settings)
    probe = fit_probe(job)
    embedded = Embedder(job.network, job.config.size, "", frozen=True).outputs(
        job.training, "Probe", job.budget.moment(1)
    )
    rows = np.flatnonzero(~embedded.features.isnan().any(1).numpy())
    features = embedded.features[torch.from_numpy(rows)]
    outputs = _refit(job, remedy, features, job.training[rows], remedy.cells.rows(rows), probe.outputs)
    result = result_without_run(job, replace(probe, outputs=outputs), len(rows), group, job.folder)
    return _with_outcome(job, replace(result, frozen=True, untuned=UNTUNED), probe.outputs)


def refit_last_layer(job: Job, result: TrainingResult) -> TrainingResult:
    """Refit the last layer of a trained network, where that is the remedy, and measure what the remedy brought."""
    remedy = job.remedy
    if remedy is None or result.frozen:
        return result
    if remedy.refit is None or remedy.refit_cells is None:
        return _with_outcome(job, result, None)
    features = compute_outputs(job.network, remedy.refit, job.config.size, title="Last layer").features
    outputs = _refit(job, remedy, features, remedy.refit, remedy.refit_cells, result.outputs)
    return _with_outcome(job, replace(result, outputs=outputs), result.outputs)


def _refit(
    job: Job, remedy: Remedy, features: torch.Tensor, images: Images, cells: Cells, validation: Outputs
) -> Outputs:
    """Give the network the remedy's head, fitted to features of these pictures; its outputs for validation."""
    labelled = LabelledFeatures(job.network.head_input(features), label_tensor(images))
    set_head(job.network, remedied_head(remedy.name, labelled, cells, len(images.classes), job.seed))
    return with_head(job.network, validation)


def _with_outcome(job: Job, result: TrainingResult, before: Outputs | None) -> TrainingResult:
    assert job.remedy is not None
    logits = None if before is None else before.logits
    outcome = Outcome.measure(job.remedy, job.validation, result.outputs.logits, logits)
    if outcome is None:
        note = f"The validation pictures have no column {job.remedy.column!r}, so the worst group was not measured."
        return replace(result, notes=[*result.notes, note])
    log.info("%s", outcome.note())
    tables = {**result.tables, TABLE: outcome.table()}
    return replace(result, notes=[*result.notes, outcome.note()], tables=tables, outcome=outcome)
