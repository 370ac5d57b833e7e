"""Tuning a backbone's last stage on stored maps: most of what fine-tuning gains, in a fraction of its time.

Batch norms keep the statistics of the pretraining, the rate rises slowly and falls to zero, layers further from the
head learn more slowly, and the head starts where logistic regression or discriminant analysis ended: so nothing of
what the backbone knows is lost in the first steps (Kumar et al. 2022, "Fine-tuning can distort pretrained features").
"""

import logging
import time
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from diptych.engine.loader import label_tensor
from diptych.progress import Bar
from diptych.recognition.networks.split_backbone import SplitBackbone, split_backbone
from diptych.recognition.training.run import Job
from diptych.recognition.training.transfer.stored_maps import compute_maps, compute_plain_maps

log = logging.getLogger("diptych")
LEARNING_RATE = 1e-3  # at its peak, of the head
LAYER_DECAY = 0.8  # of the rate, from each part to the one before it
WARMUP = 0.1  # of the steps
LABEL_SMOOTHING = 0.1
EPOCHS = 15
SHARE, MAPS_SHARE = 0.9, 0.5  # of the time that is left goes into all of this, and into the maps
MIN_EPOCHS = 3  # for which there must be time, or it is left out
TIMED_STEPS = 4
EVALUATION_BATCH = 64


@dataclass(frozen=True)
class TunedLastStage:
    """What the network, with its last stage tuned, gives.

    Attributes
    ----------
    training, validation
        (n, D) features of the pictures as they are, for a head to be fitted to and for scores.
    pictures
        How many were shown, each view as one.
    """

    training: Tensor
    validation: Tensor
    pictures: int


def tune_last_stage(job: Job) -> TunedLastStage | None:
    """Tune the last stage and the linear head of the job's network, in place.

    Returns
    -------
    ``None`` if the network has no such stage, or there is too little time or memory; it is then unchanged.
    """
    split = split_backbone(job.network)
    if split is None:
        return None
    left, now = job.budget.seconds_left - job.report_seconds, time.monotonic()
    maps_until, until = now + MAPS_SHARE * left, now + SHARE * left
    size, augment = job.config.size, job.config.augment
    maps = compute_maps(split, job.training, size, augment, until=maps_until, seed=job.seed)
    if maps is None:
        log.info("There is no time, or memory, for tuning the last stage.")
        return None
    tuner = _Tuner(job, split, [maps.plain, *maps.views])
    affordable = (until - time.monotonic()) / tuner.seconds_per_epoch()
    if affordable < MIN_EPOCHS:
        log.info("There is no time for tuning the last stage.")
        return None
    epochs = int(min(EPOCHS, affordable))
    start = time.monotonic()
    tuner.train(epochs)
    pictures = epochs * len(job.training)
    log.info("Last stage: %d epochs, %.0f pictures a second.", epochs, pictures / (time.monotonic() - start))
    validation = compute_plain_maps(split, job.validation, size)
    return TunedLastStage(tuner.features(maps.plain), tuner.features(validation), pictures)


class _Tuner:
    """The steps of tuning."""

    def __init__(self, job: Job, split: SplitBackbone, views: list[Tensor]) -> None:
        self._network, self._late, self._views = job.network.eval(), split.late, views
        self._labels, self._multi_label = label_tensor(job.training), job.training.multi_label
        self._device = next(job.network.parameters()).device
        self._batch = min(job.config.batch, len(self._labels))
        self._draw = torch.Generator().manual_seed(job.seed)
        groups, rate = [{"params": list(job.network.head.parameters()), "lr": LEARNING_RATE}], LEARNING_RATE
        for part in reversed(split.late):
            rate *= LAYER_DECAY
            groups.append({"params": list(part.parameters()), "lr": rate})
        self._optimizer = torch.optim.AdamW([g for g in groups if g["params"]], weight_decay=0.0)
        self._steps_per_epoch = len(self._labels) // self._batch

    def seconds_per_epoch(self) -> float:
        """About the time of an epoch, from a few steps that change nothing."""
        seconds = []
        for _ in range(TIMED_STEPS):
            start = time.monotonic()
            self._loss(torch.arange(self._batch)).backward()  # type: ignore[no-untyped-call]
            seconds.append(time.monotonic() - start)
        self._optimizer.zero_grad()
        return self._steps_per_epoch * sorted(seconds)[TIMED_STEPS // 2]

    def train(self, epochs: int) -> None:
        """Train for so many epochs."""
        steps = epochs * self._steps_per_epoch
        schedule = torch.optim.lr_scheduler.LambdaLR(self._optimizer, lambda step: _rate(step / steps))
        with Bar("Last stage", epochs * len(self._labels)) as bar:
            for _ in range(epochs):
                order = torch.randperm(len(self._labels), generator=self._draw)
                for rows in torch.split(order, self._batch)[: self._steps_per_epoch]:
                    self._optimizer.zero_grad()
                    self._loss(rows).backward()  # type: ignore[no-untyped-call]
                    self._optimizer.step()
                    schedule.step()
                    bar.advance(len(rows))

    def features(self, maps: Tensor) -> Tensor:
        """(n, D) on the CPU, of (n, C, H, W) maps."""
        with torch.no_grad():
            return torch.cat([self._late(self._batch_of(part)).cpu() for part in torch.split(maps, EVALUATION_BATCH)])

    def _loss(self, rows: Tensor) -> Tensor:
        """The loss of these pictures, each in one of its views."""
        views = torch.randint(len(self._views), (len(rows),), generator=self._draw).tolist()
        maps = torch.stack([self._views[view][row] for view, row in zip(views, rows.tolist(), strict=True)])
        logits, labels = self._network.logits_of(self._late(self._batch_of(maps))), self._labels[rows].to(self._device)
        if self._multi_label:
            return F.binary_cross_entropy_with_logits(logits, labels)
        return F.cross_entropy(logits, labels, label_smoothing=LABEL_SMOOTHING)

    def _batch_of(self, maps: Tensor) -> Tensor:
        return maps.to(self._device).float().contiguous(memory_format=torch.channels_last)


def _rate(progress: float) -> float:
    """The share of the peak rate: up to 1 within the warm-up, then down to 0."""
    return max(0.0, min(progress / WARMUP + 1e-3, (1 - progress) / (1 - WARMUP)))
