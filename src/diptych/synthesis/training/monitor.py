"""Looks at a run now and then: draws from it, measures how far that is from held-out pictures, and watches for copies.

What is looked at is what would be handed over at that moment, with the averaged weights. The best moment is
remembered, and the run ends where copying begins. All that is remembered is in the checkpoints, and how often to look
follows from costs that are measured once on a machine, so that a killed run ends like one that was not.
"""

import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from diptych.engine import machine
from diptych.engine.loop import TICKS, Run
from diptych.engine.task import Tick
from diptych.synthesis import datasets
from diptych.synthesis.datasets import PreparedData
from diptych.synthesis.model import SynthesisModel
from diptych.synthesis.sampling import seeding
from diptych.synthesis.training.quality import MOST_HELD, QualityJudge
from diptych.synthesis.training.sample_grids import GridFrames, GridRequest, sample_grid

log = logging.getLogger("diptych")
MOST_SHARE = 0.05  # of the time at most goes into looks,
PLANNED_SHARE = 0.03  # and this is planned for, so that there is room for costs that were measured too low
SHORTEST_SECONDS = 20.0  # of a run that is looked at before its end
WANTED_LOOKS, MOST_JUDGED = 8, 256  # first so many looks, then up to so many pictures at each, then more looks
FITTED_TO = 1000  # pictures that what follows the training (a VAE's mixture) is fitted to at a look
SURE_LOOKS = 2  # one after the other that show copying, before the run is ended
_LENGTH = ("seed", "minutes", "epochs", "batch", "lr")  # parameters on which a look's cost does not depend
COPIES_THROUGHOUT = (
    "Many of the pictures that it makes are copies of training pictures, at every moment that was looked at. Do not "
    "share them unchecked; fit it on more pictures, or for a shorter time."
)
Weights = Mapping[str, Mapping[str, Tensor]]


@dataclass(frozen=True)
class RunResult:
    """What a run hands over.

    Attributes
    ----------
    weights
        Of each module.
    seen_pictures
        The moment that they are of.
    scores
        Losses and scores of the moment that the weights are of.
    notes
        Sentences that a person should read; usually none.
    """

    weights: Weights
    seen_pictures: int
    scores: dict[str, Any]
    notes: list[str]


class Monitor:
    """Looks at one run; see the module's first lines.

    Parameters
    ----------
    model
        In training; its layout and classes are known.
    prepared
        What it is trained on.
    run
        To watch.
    folder
        Where the grids go; None: nowhere.
    """

    def __init__(self, model: SynthesisModel, prepared: PreparedData, run: Run, folder: Path | None) -> None:
        self.model, self.prepared, self.run = model, prepared, run
        self.frames = GridFrames(folder if run.leader else None, run.seen_pictures)
        self.spent = 0.0  # seconds that this stretch of the run has spent on looks

    def at(self, tick: Tick) -> None:
        """Look, if it is time to."""
        looks = self._settled()
        due = tick.done or tick.progress * looks["of"] >= looks["count"] + 1 - 1e-9
        if looks["of"] and due and self._affordable(tick, looks):
            self.look(tick)

    def look(self, tick: Tick) -> None:
        """Draw, measure, note it in the tick's scores, and remember the best moment; end the run if it copies."""
        looks = self._settled()
        if not looks["of"]:
            return
        start = time.monotonic()
        found = self._measured(tick.seen_pictures) if self.run.leader else None
        value, low, high, copies, clear = self.run.group.broadcast(found or [math.nan] * 5)
        self.spent += time.monotonic() - start
        looks["count"] = max(looks["count"] + 1, math.floor(tick.progress * looks["of"] + 1e-9))
        if math.isnan(value):
            return
        tick.scores |= {"kernel_distance": value, "kernel_distance_low": low, "kernel_distance_high": high}
        tick.scores["copy_rate"] = copies
        looks["copying"] = looks["copying"] + 1 if clear else 0
        best = self.run.extra_state.get("best")
        if not clear and (best is None or value < best["scores"]["kernel_distance"]):
            kept = {name: _copied(module.state_dict()) for name, module in self.run.modules.items()}
            scores = {**tick.losses, **tick.scores}
            self.run.extra_state["best"] = {"weights": kept, "scores": scores, "seen_pictures": tick.seen_pictures}
        if looks["copying"] >= SURE_LOOKS and best is not None and not tick.done:
            self.run.stop()

    def rehearse(self, tick: Tick) -> float:
        """Look, unless that would take the place of the look at the end; seconds that the one at the end will take."""
        looks, before = self._settled(), self.spent
        if looks["of"] <= 1:
            return float(looks["seconds"] * looks["of"])
        self.look(tick)
        return self.spent - before

    def ending(self, last: Tick) -> RunResult:
        """The last moment, unless an earlier one was clearly better or copying has begun since."""
        scores, best = {**last.losses, **last.scores}, self.run.extra_state.get("best")
        copying = self.run.extra_state.get("looks", {}).get("copying", 0) >= SURE_LOOKS
        if best is None or not (copying or _clearly_better(best["scores"], scores)):
            weights = {name: dict(module.state_dict()) for name, module in self.run.modules.items()}
            return RunResult(weights, last.seen_pictures, self._told(scores), [COPIES_THROUGHOUT] if copying else [])
        note = _ended_by_copying(best, scores, last) if copying else _was_better(best, scores, last)
        return RunResult(best["weights"], best["seen_pictures"], self._told(best["scores"]), [note])

    def facts(self) -> dict[str, Any]:
        """How often it looked, at how many pictures, and what that took; JSON-able."""
        looks = self._settled()
        if not looks["of"]:
            return {}
        return {"looks": looks["count"], "judged_by": looks["judged"], "seconds_of_looking": round(self.spent, 1)}

    def grid(self, seen_pictures: int) -> bytes:
        """The grid of the model as it is now, kept as the one of that moment."""
        asked = GridRequest.of(self.model.shares_)
        drawn = sample_grid(self.model._pictures(asked.seeds, asked.labels))
        self.frames.keep(drawn, seen_pictures)
        return drawn

    def _settled(self) -> dict[str, Any]:
        """How many looks there are to be, at how many pictures, what each takes, and how it went so far."""
        if "looks" not in self.run.extra_state:
            judged, looks, seconds = self.run.group.broadcast(self._afforded() if self.run.leader else [0, 0, 0])
            planned = {"judged": round(judged), "of": round(looks), "seconds": seconds}
            self.run.extra_state["looks"] = {**planned, "count": 0, "copying": 0}
        settled: dict[str, Any] = self.run.extra_state["looks"]
        return settled

    def _afforded(self) -> list[float]:
        """Pictures to judge by, looks at them that the run has time for, and seconds of each."""
        minutes = self.run.recipe.minutes
        seconds = self.run.clock.expected_seconds(self.run.rate) if minutes is None else 60 * minutes
        if seconds < SHORTEST_SECONDS:
            return [0, 0, 0]
        start = time.monotonic()
        settings = {k: v for k, v in self.model._parameters().items() if k not in _LENGTH}
        key = f"look {self.model.kind} {self.model.layout_} {settings} {len(self.prepared.train)} {FITTED_TO}"
        cost = machine.cached_measurement(key, self.run.group.device, self._costs)
        self.spent += time.monotonic() - start
        budget = PLANNED_SHARE * seconds - cost["once"]
        fewest = len(GridRequest.of(self.model.shares_).labels)
        judged = min(max(budget / WANTED_LOOKS / cost["each"], fewest), MOST_JUDGED)
        drawn = len(GridRequest.of(self.model.shares_, int(judged)).labels)
        each = cost["look"] + drawn * cost["each"]
        one = each <= MOST_SHARE * seconds - cost["once"]  # the look at the end matters most
        return [int(judged), max(int(one), min(TICKS, math.floor(budget / each))), each]

    def _affordable(self, tick: Tick, looks: dict[str, int]) -> bool:
        """Whether another look keeps to its share of the time; always where the clock must not change what is made."""
        if self.run.recipe.minutes is None or tick.done or not looks["count"]:
            return True
        foreseen = self.spent * (1 + 1 / looks["count"])
        return bool(self.run.group.broadcast([foreseen <= MOST_SHARE * tick.seconds])[0])

    def _costs(self) -> dict[str, float]:
        """Seconds for what is done once (this trial is), at each look, and for each picture of a look."""
        began = time.monotonic()
        judge = self._judge
        start = time.monotonic()
        self._as_handed_over()
        look = time.monotonic() - start
        rows = seeding.chunk_size(self.model.size_, self.run.group.device)
        labels = np.resize(GridRequest.of(self.model.shares_).labels, rows)
        for _ in range(2):  # the first finds out how
            start = time.monotonic()
            pixels = self.model._pictures(range(rows), labels)
            if judge is not None:
                judge(pixels)
        each = (time.monotonic() - start) / rows
        self.model.modules_ = dict(self.run.modules)
        return {"once": time.monotonic() - began, "look": look, "each": max(each, 1e-6)}

    def _measured(self, seen_pictures: int) -> list[float]:
        """Draw, keep the grid, and measure: distance, its interval, copy rate, and whether it is clear."""
        self._as_handed_over()
        pixels = self.model._pictures(self._asked.seeds, self._asked.labels)
        self.model.modules_ = dict(self.run.modules)
        self.frames.keep(sample_grid(pixels[: self._asked.grid]), seen_pictures)
        if self._judge is None:
            return [math.nan] * 5
        distance, copies = self._judge(pixels[torch.from_numpy(self._asked.judged)])
        return [*distance, copies.value, float(copies.clear)]

    def _as_handed_over(self) -> None:
        """Give the model networks as it would have them if the run ended now."""
        self.model._load({name: module.state_dict() for name, module in self.run.modules.items()})
        few = datasets.random_subset(self.prepared.train, FITTED_TO, 0)
        self.model._complete(replace(self.prepared, train=few))

    @cached_property
    def _asked(self) -> GridRequest:
        return GridRequest.of(self.model.shares_, self.run.extra_state["looks"]["judged"])

    @cached_property
    def _judge(self) -> QualityJudge | None:
        return QualityJudge.of(self.prepared)

    def _told(self, scores: dict[str, float]) -> dict[str, Any]:
        """Scores for people: the distance with its interval and count."""
        told: dict[str, Any] = {k: v for k, v in scores.items() if not k.startswith("kernel_distance")}
        if "kernel_distance" in scores:
            value, low, high = (scores[f"kernel_distance{end}"] for end in ("", "_low", "_high"))
            assert self.prepared.held is not None
            count = min(len(self.prepared.held), MOST_HELD)
            told["kernel_distance"] = {"value": value, "low": low, "high": high, "n": count}
        return told


def _copied(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in state.items()}


def _clearly_better(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    """Whether one distance lies below another by more than noise: their intervals are apart."""
    return one["kernel_distance_high"] < other.get("kernel_distance_low", -math.inf)


def _was_better(best: Mapping[str, Any], scores: Mapping[str, float], last: Tick) -> str:
    before, after = best["scores"]["kernel_distance"], scores["kernel_distance"]
    return (
        f"The pictures were clearly better after {best['seen_pictures']:,} pictures seen than at the end, after "
        f"{last.seen_pictures:,} (kernel distance {before:.3f} against {after:.3f}): the model is the one of then."
    )


def _ended_by_copying(best: Mapping[str, Any], scores: Mapping[str, float], last: Tick) -> str:
    return (
        f"The model had begun to copy its training pictures after {last.seen_pictures:,} pictures seen "
        f"({scores['copy_rate']:.0%} of what it made count as copies, as hardly any held-out picture does), so "
        f"training ended: the model is the one of {best['seen_pictures']:,} pictures seen. More pictures would let it "
        "learn for longer."
    )
