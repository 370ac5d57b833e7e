"""Evaluates a run now and then: samples from it, measures their distance from held-out pictures, and looks for copies.

Each evaluation is of the model as the run would end at that moment, with the averaged weights. The best moment is
kept, and the run ends where copying begins. All of this state is in the checkpoints, and how often a run is evaluated
follows from costs that are measured once on a machine, so that a killed run ends like one that was not.
"""

import logging
import math
import time
from collections.abc import Mapping
from contextlib import nullcontext
from functools import cached_property
from typing import Any, TypedDict

import numpy as np
import torch
from torch import Tensor

from diptych.engine import machine
from diptych.engine.loop import TICKS, Run
from diptych.engine.task import Tick
from diptych.progress import Bar, without_bars
from diptych.report import Verdict
from diptych.synthesis import datasets
from diptych.synthesis.datasets import PreparedData
from diptych.synthesis.protocols import SampledModel
from diptych.synthesis.sampling import seeding
from diptych.synthesis.training import quality
from diptych.synthesis.training.brief_sampler import BriefSampler
from diptych.synthesis.training.quality import MAX_HELD_OUT, QualityEvaluator
from diptych.synthesis.training.run_result import (
    COPIES_THROUGHOUT,
    RunResult,
    clearly_better,
    stopped_for_copying,
    was_better,
)
from diptych.synthesis.training.sample_grids import EvaluationSamples, SampleGrids, sample_grid
from diptych.synthesis.verdict import samples_verdict, short_tuning_verdict, useless_tuning_verdict

log = logging.getLogger("diptych")
MAX_TIME_SHARE = 0.05  # of the time at most goes into evaluations,
PLANNED_TIME_SHARE = 0.03  # and this is planned for, so that there is room for costs that were measured too low
MIN_RUN_SECONDS = 20.0  # of a run that is evaluated before its end
# First so many evaluations, then up to so many samples at each, then more evaluations.
TARGET_EVALUATIONS, MAX_SAMPLES = 8, 256
# That the verdict on a finished model is weighed from, at least, where a time budget allows: by this share of it.
VERDICT_SAMPLES, VERDICT_TIME_SHARE = 32, 0.2
MAX_COMPLETION_PICTURES = 1000  # that what follows training (a VAE's mixture) is fitted to at an evaluation
COPYING_EVALUATIONS = 2  # in succession that find copying, before the run is ended
COSTS = {"once", "evaluation", "each"}  # that are measured, see Monitor._measure_costs
_COST_FREE = ("seed", "minutes", "epochs", "batch", "lr")  # parameters that an evaluation's cost does not depend on


class EvaluationState(TypedDict):
    """How a run's evaluations are planned and how many there were; it is in the run's checkpoints.

    ``samples`` are measured at each of the ``planned`` evaluations, which takes ``seconds``; ``count`` are over, and
    the last ``copying`` of them found copying.
    """

    samples: int
    planned: int
    seconds: float
    count: int
    copying: int


class Monitor:
    """Evaluates one run; see the module's first lines.

    Parameters
    ----------
    model
        In training; its layout and classes are set.
    prepared
        What it is trained on.
    run
        To be evaluated.
    grids
        Of its samples.
    """

    def __init__(self, model: SampledModel, prepared: PreparedData, run: Run, grids: SampleGrids) -> None:
        self.model, self.prepared, self.run, self.grids = model, prepared, run, grids
        self.spent_seconds = 0.0  # on evaluations, since the run began or was continued
        self.seconds_each: float | None = None  # of a sample at the end, once that was rehearsed

    def evaluate_if_due(self, tick: Tick) -> None:
        """Evaluate the run if the plan says so and there is time."""
        state = self._state()
        due = tick.done or tick.progress * state["planned"] >= state["count"] + 1 - 1e-9
        if state["planned"] and due and self._is_affordable(tick, state["count"]):
            self.evaluate(tick)

    def evaluate(self, tick: Tick) -> None:
        """Sample, measure, add to the tick's scores, and keep the best moment; stop the run if it copies."""
        state = self._state()
        if not state["planned"]:
            return
        start = time.monotonic()
        measured = self._measure(tick) if self.run.leader else None
        value, low, high, copies, significant = self.run.group.broadcast(measured or [math.nan] * 5)
        self.spent_seconds += time.monotonic() - start
        state["count"] = max(state["count"] + 1, math.floor(tick.progress * state["planned"] + 1e-9))
        if math.isnan(value):
            return
        tick.scores |= {"kernel_distance": value, "kernel_distance_low": low, "kernel_distance_high": high}
        tick.scores["copy_rate"] = copies
        state["copying"] = state["copying"] + 1 if significant else 0
        if not significant:
            self._keep_if_best(tick)
        if state["copying"] >= COPYING_EVALUATIONS and self._best is not None and not tick.done:
            self.run.stop()

    def rehearse(self, tick: Tick, *, extended: bool) -> float:
        """Evaluate, unless only the end is evaluated; returns the seconds that the evaluation at the end will take."""
        self._last_evaluator(extended)  # there it is ready
        state, before = self._state(), self.spent_seconds
        if state["planned"] <= 1:
            return float(state["seconds"] * state["planned"])
        self.evaluate(tick)
        return self.spent_seconds - before

    def result(self, last: Tick) -> RunResult:
        """The moment ``last``, unless an earlier one was clearly better or copying has begun since."""
        scores, best = {**last.losses, **last.scores}, self._best
        state = self.run.extra_state.get("evaluations")
        copying = state is not None and state["copying"] >= COPYING_EVALUATIONS
        if best is None or not (copying or clearly_better(best["scores"], scores)):
            weights = {name: dict(module.state_dict()) for name, module in self.run.modules.items()}
            notes = [COPIES_THROUGHOUT] if copying else []
            return RunResult(weights, last.seen_pictures, self._with_interval(scores), notes)
        note = stopped_for_copying(best, scores, last) if copying else was_better(best, scores, last)
        return RunResult(best["weights"], best["seen_pictures"], self._with_interval(best["scores"]), [note])

    def facts(self) -> dict[str, Any]:
        """The number of evaluations, their samples, and the seconds they took; JSON-able."""
        state = self._state()
        if not state["planned"]:
            return {}
        seconds = round(self.spent_seconds, 1)
        return {
            "evaluations": state["count"],
            "evaluation_samples": state["samples"],
            "evaluation_seconds": seconds,
            "judge": self._judge,
        }

    def finish(
        self,
        model: SampledModel,
        seen_pictures: int,
        *,
        extended: bool,
        untuned: SampledModel | None,
        brief: BriefSampler | None = None,
    ) -> tuple[bytes, Verdict | None]:
        """The grid of a finished model, which becomes that of the moment that its weights are of, and a verdict on it.

        ``untuned`` is a tuned model without its tuning, which it should be better than; ``None``: it is not tuned.

        ``None`` in a run too short to be evaluated, unless it ``extended`` a model, which may have one; and where too
        few pictures are held out. A ``brief`` sampler makes it a rehearsal.
        """
        samples, sample = self.verdict_samples(), brief or _sample
        pixels = sample(model, samples, "Sampling for the verdict")
        grid = sample_grid(pixels[: samples.grid], model.generated_facts(), samples.columns)
        measured = pixels[torch.from_numpy(samples.measured)]
        if brief is None:
            self.grids.add(grid, seen_pictures)
        if self.prepared.private:  # there are no other real pictures to compare with than the held-out ones
            return grid, None
        if untuned is not None and (too_short := short_tuning_verdict(seen_pictures // self.run.recipe.batch)):
            return grid, too_short
        evaluator = self._last_evaluator(extended)
        evidence = None if evaluator is None else evaluator.evidence(measured)
        if evaluator is None or evidence is None:
            return grid, None
        minutes = self.run.recipe.minutes
        if untuned is not None:
            before = evaluator.distance(sample(untuned, samples, "Without tuning")[torch.from_numpy(samples.measured)])
            if useless := useless_tuning_verdict(before, evaluator.distance(measured), minutes):
                return grid, useless
        return grid, samples_verdict(evidence, model.kind, minutes, tuned=untuned is not None)

    def verdict_samples(self) -> EvaluationSamples:
        """Those at the end; fewer where they would take more of a time budget."""
        minutes, shares = self.run.recipe.minutes, self.model.shares_
        if minutes is None or not self.seconds_each:
            return EvaluationSamples.of(shares, VERDICT_SAMPLES)
        return EvaluationSamples.affordable(
            shares, VERDICT_SAMPLES, 60 * minutes * VERDICT_TIME_SHARE / self.seconds_each
        )

    @property
    def _best(self) -> dict[str, Any] | None:
        """Weights, scores and pictures seen of the best moment without copying, if there was an evaluation.

        One of before a kill does not count where another judge measured it.
        """
        best: dict[str, Any] | None = self.run.extra_state.get("best")
        return best if best is None or best["judge"] == self._judge else None

    def _keep_if_best(self, tick: Tick) -> None:
        best, scores = self._best, {**tick.losses, **tick.scores}
        if best is None or scores["kernel_distance"] < best["scores"]["kernel_distance"]:
            weights = {name: _copied(module.state_dict()) for name, module in self.run.modules.items()}
            moment = {"weights": weights, "scores": scores, "seen_pictures": tick.seen_pictures}
            self.run.extra_state["best"] = {**moment, "judge": self._judge}

    def _state(self) -> EvaluationState:
        """The state of the run's evaluations, which are planned on the first call."""
        if "evaluations" not in self.run.extra_state:
            samples, planned, seconds = self.run.group.broadcast(self._plan() if self.run.leader else [0, 0, 0])
            self.run.extra_state["evaluations"] = EvaluationState(
                samples=round(samples), planned=round(planned), seconds=seconds, count=0, copying=0
            )
        state: EvaluationState = self.run.extra_state["evaluations"]
        return state

    def _plan(self) -> list[float]:
        """Samples to measure at each evaluation, evaluations that the run has time for, and seconds of each."""
        seconds = self._expected_seconds()
        if seconds < MIN_RUN_SECONDS:
            return [0, 0, 0]
        cost = self._costs()
        budget = PLANNED_TIME_SHARE * seconds - cost["once"]
        in_grid = len(EvaluationSamples.of(self.model.shares_).labels)
        samples = int(min(max(budget / TARGET_EVALUATIONS / cost["each"], in_grid), MAX_SAMPLES))
        sampled = len(EvaluationSamples.of(self.model.shares_, samples).labels)
        each = cost["evaluation"] + sampled * cost["each"]
        affordable = each <= MAX_TIME_SHARE * seconds - cost["once"]  # the evaluation at the end matters most
        return [samples, max(int(affordable), min(TICKS, math.floor(budget / each))), each]

    def _expected_seconds(self) -> float:
        """Of the whole run."""
        minutes = self.run.recipe.minutes
        return float(self.run.clock.expected_seconds(self.run.rate) if minutes is None else 60 * minutes)

    def _costs(self) -> dict[str, float]:
        """The costs as they were first measured on this machine (:meth:`_measure_costs`)."""
        start = time.monotonic()
        settings = {k: v for k, v in self.model.parameters().items() if k not in _COST_FREE}
        data = f"{len(self.prepared.training)} {MAX_COMPLETION_PICTURES} {self._judge}"
        key = f"evaluation {self.model.kind} {self.model.layout_} {settings} {data}"
        costs = machine.cached_measurement(key, self.run.group.device, self._measure_costs, COSTS)
        self.spent_seconds += time.monotonic() - start
        return costs

    def _measure_costs(self) -> dict[str, float]:
        """Seconds of what is done once (this trial is), at each evaluation, and for each of its samples."""
        began = time.monotonic()
        evaluator = self._evaluator
        start = time.monotonic()
        model = self._current_model()
        evaluation = time.monotonic() - start
        rows = seeding.chunk_size(self.model.size_, self.run.group.device)
        labels = np.resize(EvaluationSamples.of(self.model.shares_).labels, rows)
        for _ in range(2):  # the first call also selects kernels
            start = time.monotonic()
            pixels = model.sample_pixels(range(rows), labels)
            if evaluator is not None:
                evaluator(pixels)
        each = (time.monotonic() - start) / rows
        return {"once": time.monotonic() - began, "evaluation": evaluation, "each": max(each, 1e-6)}

    def _is_affordable(self, tick: Tick, count: int) -> bool:
        """Whether another evaluation keeps to its share of a time budget; always in a run of fixed length.

        There the clock must not change the result.
        """
        if self.run.recipe.minutes is None or tick.done or not count:
            return True
        expected = self.spent_seconds * (1 + 1 / count)
        return bool(self.run.group.broadcast([expected <= MAX_TIME_SHARE * tick.seconds])[0])

    def _measure(self, tick: Tick) -> list[float]:
        """Sample, keep the grid, and measure: distance, its interval, copy rate, and whether that is significant."""
        samples = self._samples
        with nullcontext() if tick.done else without_bars():  # on the way, the bar of the training is enough
            model = self._current_model()
            pixels = _sample(model, samples, "Sampling for the last evaluation")
        self.grids.add(sample_grid(pixels[: samples.grid], model.generated_facts()), tick.seen_pictures)
        if self._evaluator is None:
            return [math.nan] * 5
        distance, copies = self._evaluator(pixels[torch.from_numpy(samples.measured)])
        return [*distance, copies.value, float(copies.significant)]

    def _current_model(self) -> SampledModel:
        """The model as it would be if the run ended now."""
        subset = datasets.random_subset(self.prepared.training, MAX_COMPLETION_PICTURES, 0)
        weights = {name: module.state_dict() for name, module in self.run.modules.items()}
        return self.model.with_weights(weights, subset)

    @cached_property
    def _samples(self) -> EvaluationSamples:
        return EvaluationSamples.of(self.model.shares_, self._state()["samples"])

    @cached_property
    def _judge(self) -> str:
        return quality.judge(self.prepared.size)

    @cached_property
    def _evaluator(self) -> QualityEvaluator | None:
        return QualityEvaluator.for_data(self.prepared)

    def _last_evaluator(self, extended: bool) -> QualityEvaluator | None:
        """What measures the samples of the finished model; ``None``: they are not measured."""
        if self.prepared.private:
            return None
        if self._state()["planned"]:
            return self._evaluator
        return self._quick_evaluator if extended or self._expected_seconds() >= MIN_RUN_SECONDS else None

    @cached_property
    def _quick_evaluator(self) -> QualityEvaluator | None:
        """Without the search for copies, which is what costs where there are samples."""
        return QualityEvaluator.for_data(self.prepared, copies=False)

    def _with_interval(self, scores: Mapping[str, float]) -> dict[str, Any]:
        """The scores, the distance with its interval and count."""
        shown: dict[str, Any] = {k: v for k, v in scores.items() if not k.startswith("kernel_distance")}
        if "kernel_distance" in scores:
            value, low, high = (scores[f"kernel_distance{end}"] for end in ("", "_low", "_high"))
            assert self.prepared.held_out is not None
            count = min(len(self.prepared.held_out), MAX_HELD_OUT)
            shown["kernel_distance"] = {"value": value, "low": low, "high": high, "n": count}
        return shown


def _sample(model: SampledModel, samples: EvaluationSamples, title: str) -> Tensor:
    """(N, 3, S, S) uint8, with a bar."""
    with Bar(title, len(samples.labels)) as bar:
        return model.sample_pixels(samples.seeds, samples.labels, bar)


def _copied(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in state.items()}
