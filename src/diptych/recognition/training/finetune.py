"""Pretrained networks: a probe of the frozen backbone, then fine-tuning; the better one is the result."""

import logging
import time
from dataclasses import replace

from torch import Tensor
from torch.nn import functional as F

from diptych.engine import checkpoint, machine
from diptych.engine.distributed import ProcessGroup
from diptych.engine.history import History
from diptych.engine.machine import Machine
from diptych.recognition import datasets
from diptych.recognition.training.head_selection import HeadSelection
from diptych.recognition.training.probe import Probe, fit_probe, set_head
from diptych.recognition.training.run import Job, TrainingResult, run_to_end, start_run, training_result
from diptych.report import Table
from diptych.report.report import format_number

log = logging.getLogger("diptych")
STEP_COST = 3  # a training step costs as much as so many forward passes of its pictures
TRIAL_STEPS = 20  # that the machine's trial takes
MIN_STEPS = 30  # that there must be time for, or fine-tuning is left out


def train(job: Job) -> TrainingResult:
    """Fit a probe, fine-tune as far as the budget goes, and keep what is better on the validation pictures."""
    group = ProcessGroup(machine.device())
    if job.folder and group.leader:
        checkpoint.claim(job.folder, job.settings)
    probe = fit_probe(job)
    name, score = job.score(probe.outputs.logits, job.validation)
    note = (
        f"Probe: frozen backbone, {probe.selection.name} on the features of {probe.pictures} pictures "
        f"({name} {format_number(score)} on validation)."
    )
    log.info("%s", note)
    tables = {"Heads on frozen features": _heads_table(probe.selection, name)} if probe.selection.scores else {}
    if not group.broadcast([_has_time_to_finetune(job)])[0]:
        notes = [note, "No time was left for fine-tuning: the probe is the result."]
        return replace(_probe_result(job, probe, group), notes=notes, tables=tables)
    backbone = {
        name: tensor.clone() for name, tensor in job.network.state_dict().items() if not name.startswith("head.")
    }
    set_head(job.network, probe.selection.linear)
    run = start_run(job)
    finetuned = training_result(run, run_to_end(job, run))
    finetuned_score = job.score(finetuned.outputs.logits, job.validation)[1]
    better = (finetuned_score, -_loss(job, finetuned.outputs.logits)) >= (score, -_loss(job, probe.outputs.logits))
    if better:
        verdict = f"Fine-tuning did better and is the result ({name} {format_number(finetuned_score)})."
    else:
        verdict = f"Fine-tuning did no better ({name} {format_number(finetuned_score)}): the probe is the result."
        Machine(run.machine.device).prepare([job.network], [job.network])
        job.network.load_state_dict(backbone, strict=False)
        set_head(job.network, probe.selection.head)
        finetuned = replace(finetuned, outputs=probe.outputs, frozen=True)
    log.info("%s", verdict)
    table = Table(
        ["", "pictures shown", name, ""],
        [
            ["probe", probe.pictures, score, "" if better else "kept"],
            ["fine-tuned", finetuned.seen_pictures, finetuned_score, "kept" if better else ""],
        ],
    )
    return replace(finetuned, notes=[note, verdict], tables={**tables, "Probe and fine-tuning": table})


def _heads_table(selection: HeadSelection, name: str) -> Table:
    rows = [[kind, score, "chosen" if kind == selection.name else ""] for kind, score in selection.scores.items()]
    return Table(["", f"{name}, cross-validated", ""], rows)


def _has_time_to_finetune(job: Job) -> bool:
    """Whether the budget leaves time for fine-tuning that can gain something."""
    step_seconds = STEP_COST * job.budget.seconds_per_picture * job.config.batch
    return job.budget.seconds_left - job.reserve_seconds >= (TRIAL_STEPS + MIN_STEPS) * step_seconds


def _probe_result(job: Job, probe: Probe, group: ProcessGroup) -> TrainingResult:
    history = History(job.folder if group.leader else None)
    seconds = time.monotonic() - job.budget.started
    name, value = job.score(probe.outputs.logits, job.validation)
    record = {"seen_pictures": probe.pictures, "seconds": round(seconds, 3), "progress": 1.0, "losses": {}}
    history.add({**record, "scores": {name: value}})
    device = str(Machine(group.device))
    return TrainingResult(probe.outputs, probe.pictures, seconds, device, history.records, group.leader, frozen=True)


def _loss(job: Job, logits: Tensor) -> float:
    targets = datasets.targets(job.validation)
    if job.validation.multi_label:
        return float(F.binary_cross_entropy_with_logits(logits, targets.float()))
    return float(F.cross_entropy(logits, targets))
