"""Pretrained networks: a probe within the first minute, then fine-tuning in what is left, the better one kept."""

import logging
import math
import time
from dataclasses import replace

from torch import Tensor
from torch.nn import functional as F

from diptych.engine import checkpoint, machine
from diptych.engine.distributed import ProcessGroup
from diptych.engine.history import History
from diptych.engine.machine import Machine
from diptych.recognition import datasets
from diptych.recognition.training.linear_probe import LinearProbe, fit_linear_probe
from diptych.recognition.training.run import Job, TrainingResult, run_to_end, start_run, training_result
from diptych.report import Table
from diptych.report.report import number

log = logging.getLogger("diptych")
PROBE_SECONDS = 50.0  # from the start of fit, for looking at pictures; the fit itself is within the minute
PROBE_SHARE = 0.4  # of a short time budget
TRAINED_AS_SEEN = 3  # a step costs as much as looking at its pictures so many times
TRIAL_STEPS = 20  # that the machine's trial takes
WORTH_STEPS = 30  # that there must be time for, or fine-tuning is left out


def train(job: Job) -> TrainingResult:
    """Probe, fine-tune as far as the budget goes, and keep what is better on the validation pictures."""
    group = ProcessGroup(machine.device())
    if job.folder and group.leader:
        checkpoint.claim(job.folder, job.settings)
    found = _probed(job)
    began = {name: tensor.clone() for name, tensor in job.network.state_dict().items()}
    name, first = job.score(found.seen.logits, job.validation)
    told = (
        f"Probe: the backbone as it was taught, with a last layer fitted to {found.pictures} pictures ({name} "
        f"{number(first)})."
    )
    log.info("%s", told)
    if not group.broadcast([_worth_tuning(job)])[0]:
        return _probe_alone(
            job, found, group, [told, "The time was too short for fine-tuning: the probe is the result."]
        )
    run = start_run(job)
    tuned = training_result(run, run_to_end(job, run))
    second = job.score(tuned.seen.logits, job.validation)[1]
    better = (second, -_loss(job, tuned.seen.logits)) >= (first, -_loss(job, found.seen.logits))
    if better:
        verdict = f"Fine-tuning after it did better, and is the result ({name} {number(second)})."
    else:
        verdict = f"Fine-tuning after it did no better ({name} {number(second)}): the probe is the result."
        Machine(run.machine.device).prepare([job.network], [job.network])
        job.network.load_state_dict(began)
        tuned = replace(tuned, seen=found.seen)
    log.info("%s", verdict)
    rows = [
        ["probe", found.pictures, first, "" if better else "kept"],
        ["fine-tuned", tuned.seen_pictures, second, "kept" if better else ""],
    ]
    table = Table(["", "pictures shown", name, ""], [list(row) for row in rows])
    return replace(tuned, notes=[told, verdict], tables={"Probe and fine-tuning": table})


def _probed(job: Job) -> LinearProbe:
    """Find the probe, and give the network its last layer."""
    until, budget = math.inf, job.budget
    if budget.minutes is not None:
        until = budget.started + min(PROBE_SECONDS, PROBE_SHARE * budget.seconds)
    found = fit_linear_probe(
        job.network,
        job.training,
        job.validation,
        job.chosen.size,
        each=budget.each,
        until=until,
        folder=job.folder,
    )
    job.network.set_head(found.head.weight, found.head.bias)
    return found


def _worth_tuning(job: Job) -> bool:
    """Whether the budget leaves time for fine-tuning that can gain something."""
    step = TRAINED_AS_SEEN * job.budget.each * job.chosen.batch
    return job.budget.left - job.reserve_seconds >= (TRIAL_STEPS + WORTH_STEPS) * step


def _probe_alone(job: Job, found: LinearProbe, group: ProcessGroup, notes: list[str]) -> TrainingResult:
    history = History(job.folder if group.leader else None)
    seconds = time.monotonic() - job.budget.started
    name, value = job.score(found.seen.logits, job.validation)
    record = {"seen_pictures": found.pictures, "seconds": round(seconds, 3), "progress": 1.0, "losses": {}}
    history.add({**record, "scores": {name: value}})
    where = str(Machine(group.device))
    return TrainingResult(found.seen, found.pictures, seconds, where, history.records, group.leader, notes)


def _loss(job: Job, answers: Tensor) -> float:
    truth = datasets.targets(job.validation)
    if job.validation.multi_label:
        return float(F.binary_cross_entropy_with_logits(answers, truth.float()))
    return float(F.cross_entropy(answers, truth))
