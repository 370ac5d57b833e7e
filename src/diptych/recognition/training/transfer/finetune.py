"""Training from a pretrained backbone: a head on frozen features, its last stage tuned, then all of it.

Each step is tried on the validation pictures, and the best is kept: a later one is the result only if it is no worse.
"""

import copy
import logging
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diptych.engine import checkpoint, machine
from diptych.engine.distributed import ProcessGroup
from diptych.engine.history import History
from diptych.engine.loader import label_tensor
from diptych.engine.machine import Machine
from diptych.engine.stopping import draft
from diptych.errors import Interrupted
from diptych.recognition import datasets
from diptych.recognition.inference.embeddings import MAX_PICTURES
from diptych.recognition.inference.outputs import Outputs, compute_outputs
from diptych.recognition.networks import Network
from diptych.recognition.training.run import Job, TrainingResult, run_to_end, start_run, training_result
from diptych.recognition.training.transfer.head_selection import NEIGHBOURS, HeadSelection
from diptych.recognition.training.transfer.last_stage import TunedLastStage, tune_last_stage
from diptych.recognition.training.transfer.logistic_regression import LabelledFeatures
from diptych.recognition.training.transfer.probe import Probe, fit_probe, set_head
from diptych.report import Table

log = logging.getLogger("diptych")
STEP_COST = 3  # a training step costs as much as so many forward passes of its pictures
SPEED_PICTURES = 64  # that the speed is measured on again
MIN_EPOCHS = 3.0  # that there must be time for, or the whole network is not tuned
MIN_ERROR, MIN_ERRORS = 0.03, 60  # of the head on frozen features, in cross-validation; with less, none is tuned
PROBE, LAST_STAGE, WHOLE = "head on frozen features", "last stage tuned", "whole network tuned"


def train(job: Job) -> TrainingResult:
    """Fit a head, tune as far as the budget goes, and keep what is best on the validation pictures."""
    group = ProcessGroup(machine.device())
    if job.folder and group.leader:
        checkpoint.claim(job.folder, job.settings)
    probe = fit_probe(job)
    steps = _Steps(job)
    steps.add(f"{PROBE}: {probe.selection.name}", probe.pictures, probe.outputs, frozen=True)
    try:
        result = _tune(job, probe, steps, group)
    except (KeyboardInterrupt, Interrupted) as stop:
        stopped = draft.begin(stop, job.folder, extension=job.is_extension)
        result = replace(result_without_run(job, probe, probe.pictures, group, None), stopped=stopped)
    best = steps.restore_best()
    note = steps.describe()
    log.info("%s", note)
    notes = [note, *([result.untuned] if result.untuned else []), *([draft.NOTE] if result.stopped else [])]
    tables = {"Steps of training": steps.table()}
    if probe.selection.scores:
        tables["Heads on frozen features"] = _heads_table(probe.selection, steps.measure)
    return replace(
        result,
        outputs=best.outputs,
        frozen=best.frozen,
        training=best.training,
        notes=notes,
        tables=tables,
    )


def _tune(job: Job, probe: Probe, steps: "_Steps", group: ProcessGroup) -> TrainingResult:
    """Tune as far as there is something to gain and time for it; the record of the last training."""
    good_enough = _why_not_tuned(job, probe)
    seen = probe.pictures
    if not good_enough:
        set_head(job.network, probe.selection.linear)
        seen = _tune_last_stage(job, probe, steps, group)
    if good_enough or not group.broadcast([_has_time_to_finetune(job)])[0]:
        return replace(result_without_run(job, probe, seen, group, job.folder), untuned=good_enough)
    run = start_run(job)
    finetuned = training_result(run, run_to_end(job, run))
    Machine(run.machine.device).prepare([job.network], [job.network])
    _add_whole(job, probe, steps, finetuned)
    return finetuned


@dataclass(frozen=True)
class _Step:
    """The network after a step, and how it does."""

    name: str
    pictures: int
    outputs: Outputs
    score: float
    loss: float
    frozen: bool
    training: Outputs | None
    head: nn.Module
    state: dict[str, Tensor]


@dataclass
class _Steps:
    """The steps so far; only the best one's weights are kept."""

    job: Job
    measure: str = ""
    rows: list[tuple[str, int, float]] = field(default_factory=list)
    best: _Step | None = None

    def add(
        self, name: str, pictures: int, outputs: Outputs, *, frozen: bool = False, training: Outputs | None = None
    ) -> None:
        """Score the network as it is; of equals, the one with the lower loss is better, then the later one."""
        self.measure, score = self.job.score(outputs.logits, self.job.validation)
        loss = _loss(self.job, outputs.logits)
        log.info("%s: %s %.1f%% on validation.", _sentence(name), self.measure, 100 * score)
        self.rows.append((name, pictures, score))
        if self.best is None or (score, -loss) >= (self.best.score, -self.best.loss):
            network = self.job.network
            state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
            head = copy.deepcopy(network.head)
            self.best = _Step(name, pictures, outputs, score, loss, frozen, training, head, state)

    def restore_best(self) -> _Step:
        """Give the network the best step's weights."""
        assert self.best is not None
        self.job.network.head = self.best.head
        self.job.network.load_state_dict(self.best.state)
        return self.best

    def table(self) -> Table:
        """All steps."""
        assert self.best is not None
        rows: list[list[Any]] = [[*row, "chosen" if row[0] == self.best.name else ""] for row in self.rows]
        return Table(["", "pictures shown", f"{self.measure} on validation", ""], rows)

    def describe(self) -> str:
        """What was chosen, in a sentence."""
        assert self.best is not None
        chosen = f"{_sentence(self.best.name)} is the result ({self.measure} {self.best.score:.1%})"
        others = [f"{name} {score:.1%}" for name, _, score in self.rows if name != self.best.name]
        return f"{chosen}; tried besides: {', '.join(others)}." if others else f"{chosen}."


def _sentence(name: str) -> str:
    return name[0].upper() + name[1:]


def _tune_last_stage(job: Job, probe: Probe, steps: _Steps, group: ProcessGroup) -> int:
    """Tune the last stage on the leader, then everywhere; try the chosen kind of head, fitted to the new features.

    Tuned linear heads look best on pictures like those trained on. Where cross-validation over series has chosen
    examples instead, that is believed, and the tuned head only served to tune the features.
    """
    network, selection = job.network, probe.selection
    tuned = group.broadcast_object(_on_leader(job, group))
    if tuned is None:
        return probe.pictures
    features, state = tuned
    network.load_state_dict(state)
    if selection.name != NEIGHBOURS:
        validation, training = _outputs(network, features, probe)
        steps.add(LAST_STAGE, features.pictures, validation, training=training)
    if selection.scores:
        labelled = LabelledFeatures(network.head_input(features.training), label_tensor(job.training))
        linear = copy.deepcopy(network.head)
        set_head(network, selection.fit(labelled))
        validation, training = _outputs(network, features, probe)
        steps.add(f"{LAST_STAGE}, {selection.name}", features.pictures, validation, training=training)
        network.head = linear
    return features.pictures


def _add_whole(job: Job, probe: Probe, steps: _Steps, tuned: TrainingResult) -> None:
    """Try the network tuned as a whole; with examples as its head, where those were chosen and are not too many."""
    network, selection = job.network, probe.selection
    if selection.name != NEIGHBOURS or len(job.training) > MAX_PICTURES:
        steps.add(WHOLE, tuned.seen_pictures, tuned.outputs)
        return
    outputs = compute_outputs(network, job.training, job.config.size, title="Embedding")
    set_head(network, selection.fit(LabelledFeatures(network.head_input(outputs.features), label_tensor(job.training))))
    validation, training = (with_head(network, part) for part in (tuned.outputs, outputs))
    steps.add(f"{WHOLE}, {selection.name}", tuned.seen_pictures, validation, training=training)


def _on_leader(job: Job, group: ProcessGroup) -> tuple[TunedLastStage, dict[str, Tensor]] | None:
    """What tuning gives, and the network's state, on the CPU."""
    tuned = tune_last_stage(job) if group.leader else None
    return None if tuned is None else (tuned, {n: t.cpu() for n, t in job.network.state_dict().items()})


def _outputs(network: Network, features: TunedLastStage, probe: Probe) -> tuple[Outputs, Outputs | None]:
    """The outputs of the network as it is: for validation pictures and, with known slopes, training pictures."""
    nothing = torch.empty(0)
    validation = with_head(network, Outputs(nothing, features.validation, probe.outputs.slopes))
    if probe.slopes is None:
        return validation, None
    return validation, with_head(network, Outputs(nothing, features.training, probe.slopes))


def with_head(network: Network, outputs: Outputs) -> Outputs:
    """The same with the logits that the network's head now gives for the features."""
    with torch.no_grad():
        logits = network.logits_of(outputs.features.to(next(network.parameters()).device)).float().cpu()
    return replace(outputs, logits=logits)


def _heads_table(selection: HeadSelection, name: str) -> Table:
    rows = [[kind, score, "chosen" if kind == selection.name else ""] for kind, score in selection.scores.items()]
    return Table(["", f"{name}, cross-validated", ""], rows)


def _why_not_tuned(job: Job, probe: Probe) -> str:
    """Why the backbone stays as it is: its head errs so rarely that there is nothing to gain; empty: it is tuned.

    Where a person set the number of epochs, they are run. Tuned all the same, features came to 97.4 % of unseen cats
    and dogs where the frozen ones had 97.7 % (four draws of 361).
    """
    if job.config.minutes is None or not probe.selection.scores:
        return ""
    error = 1 - max(probe.selection.scores.values())
    if error >= MIN_ERROR or error * probe.pictures >= MIN_ERRORS:
        return ""
    reason = f"The backbone was not tuned: in cross-validation its head is right for {1 - error:.1%}."
    log.info("%s", reason)
    return reason


def _has_time_to_finetune(job: Job) -> bool:
    """Whether the budget leaves time for epochs over the whole network that can gain something."""
    if job.config.minutes is None:
        return True
    # A decision to give up is not left to one early reading.
    budget = job.budget.measured_again(job.network, job.training[:SPEED_PICTURES].pixels(job.config.size))
    epoch_seconds = STEP_COST * budget.seconds_per_picture * len(job.training)
    return job.budget.seconds_left - job.reserve_seconds >= MIN_EPOCHS * epoch_seconds


def result_without_run(job: Job, probe: Probe, seen: int, group: ProcessGroup, folder: Path | None) -> TrainingResult:
    """The record of a training without a run of the whole network; its history is written to the ``folder``."""
    return recorded_without_run(job, probe.outputs, seen, group, folder)


def recorded_without_run(
    job: Job, outputs: Outputs, seen: int, group: ProcessGroup, folder: Path | None
) -> TrainingResult:
    """The same of these ``outputs`` for the validation pictures."""
    history = History(folder if group.leader else None)
    seconds = time.monotonic() - job.budget.started
    name, value = job.score(outputs.logits, job.validation)
    record = {"seen_pictures": seen, "seconds": round(seconds, 3), "progress": 1.0, "losses": {}}
    history.add({**record, "scores": {name: value}})
    device = str(Machine(group.device))
    return TrainingResult(outputs, seen, seconds, device, history.records, group.leader)


def _loss(job: Job, logits: Tensor) -> float:
    targets = datasets.targets(job.validation)
    if job.validation.multi_label:
        return float(F.binary_cross_entropy_with_logits(logits, targets.float()))
    return float(F.cross_entropy(logits, targets))
