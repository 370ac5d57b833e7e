"""The privacy budget of a run: what is promised of a training picture, and the steps and noise that keep to it."""

import logging
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from diptych.engine.privacy.accounting import epsilon_pld, epsilon_prv, noise_multiplier_for
from diptych.errors import UsageError

log = logging.getLogger("diptych")
DEFAULT_DELTA, DELTA_PICTURES = 1e-5, 10  # the lower of this and 1 / (10 · pictures)
HEADING = "What the model can tell about one picture"


@dataclass(frozen=True)
class Budget:
    """What a run may spend, and how it spends it; the block "privacy" of ``model.json``.

    Attributes
    ----------
    epsilon, delta
        The promise: with the picture or without it, no result becomes more than e^ε times as likely, but for a
        probability of δ.
    epsilon_prv, epsilon_pld
        What the steps spend by each accountant.
    sampling_rate
        Probability that a picture is drawn for a step.
    noise_multiplier, clip
        Largest norm of a picture's gradient, and the noise's standard deviation as a multiple of it.
    steps
        Of the whole run: no more are taken.
    """

    epsilon: float
    delta: float
    epsilon_prv: float
    epsilon_pld: float
    sampling_rate: float
    noise_multiplier: float
    steps: int
    clip: float

    @classmethod
    def plan(cls, epsilon: float, delta: float | None, *, pictures: int, batch: int, steps: int, clip: float) -> Self:
        """The budget of so many steps on expected batches of ``batch`` of the ``pictures``.

        Raises
        ------
        UsageError
            δ is so large that the promise would mean nothing, or the accountants are not installed.
        """
        delta = min(DEFAULT_DELTA, 1 / (DELTA_PICTURES * pictures)) if delta is None else delta
        if delta >= 1 / pictures:
            raise UsageError(
                f"delta must be less than one in the number of pictures, 1/{pictures}, not {delta:g}: else a model "
                f"that gives away one picture at random would keep to it. Leave it out for {DEFAULT_DELTA:g} or less."
            )
        rate = min(1.0, batch / pictures)
        noise = noise_multiplier_for(epsilon, delta, rate, steps)
        prv, pld = (accountant(noise, rate, steps, delta) for accountant in (epsilon_prv, epsilon_pld))
        log.info(
            "Privacy: ε = %g, δ = %.2g; %d steps, each picture in a step with probability %.3g, noise multiplier %.3f.",
            epsilon, delta, steps, rate, noise,
        )  # fmt: skip
        return cls(epsilon, delta, prv, pld, rate, noise, steps, clip)

    def facts(self) -> dict[str, Any]:
        """The budget, JSON-able."""
        return asdict(self)


def refuse_further_training(*, more: bool, start: bool) -> None:
    """Refuse what would spend privacy outside of a budget.

    Raises
    ------
    UsageError
        The model is to be trained further, or to start from another one.
    """
    if more:
        raise UsageError(
            "A model with epsilon is not trained further: its budget is spent, and more steps on the same pictures "
            "would break the promise. Fit another one, with more epochs (--epochs), into a new folder."
        )
    if start:
        raise UsageError(
            "A model with epsilon does not start from another one: if that was trained on some of the same pictures, "
            "their promise would be broken from the start. Leave out the model to start from, or epsilon."
        )


def describe(facts: Mapping[str, Any]) -> str:
    """The section of a model card on the block "privacy" of ``model.json``; Markdown."""
    return " ".join(sentences(facts)) + (
        f"\n\nBudget: ε = {facts['epsilon']:g}, δ = {facts['delta']:.2g}. Spent by the PRV accountant: "
        f"{facts['epsilon_prv']:.3f}; by the PLD accountant: {facts['epsilon_pld']:.3f}. {facts['steps']:,} steps, "
        f"a picture in each with probability {facts['sampling_rate']:.3g}, gradients clipped to {facts['clip']:g}, "
        f"noise multiplier {facts['noise_multiplier']:.3f}."
    )


def sentences(facts: Mapping[str, Any]) -> list[str]:
    """What the budget means, in plain words."""
    epsilon, delta = facts["epsilon"], facts["delta"]
    return [
        f"Trained with differential privacy, ε = {epsilon:g} and δ = {delta:.2g}: whatever a person does with this "
        f"model, it changes the odds that a given picture was trained on by a factor of at most {odds(epsilon)} (e^ε), "
        f"but for a probability of {delta:.2g}.",
        "The promise covers each training picture by itself, not a person or thing that several of them show.",
        "It does not cover the held-out pictures, which the scores and the calibration rest on, and takes as known how "
        "many pictures there were, their usual size and the names of the classes.",
        "What would break it is left out of the model: digests, counts and embeddings of the training pictures, and "
        "any of them in the report. So the model cannot know one again: keep pictures to test on apart.",
    ]


def odds(epsilon: float) -> str:
    """e^ε, in as many digits as matter."""
    value = math.exp(epsilon)
    return f"{value:.2f}" if value < 10 else f"{value:,.0f}" if value < 1e6 else f"{value:.0e}"
