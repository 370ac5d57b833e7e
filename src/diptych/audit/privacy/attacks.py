"""Attacks on all candidates at once: scores, how many training pictures they find, and a control of the sets."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diptych.audit.privacy.candidates import Candidates
from diptych.audit.privacy.references import References
from diptych.audit.privacy.signals import Signals
from diptych.metrics.membership import AttackRates, attack_rates

LEVEL = 0.95
ALLOWED = 0.01  # false alarms at which training pictures are counted
ALLOWED_OF_MANY, MIN_OTHERS_OF_MANY = 0.001, 5000  # and also, where so many pictures were not trained on
MIN_OF_CLASS = 50  # pictures of a class, of either kind, under which nothing is said of it
MIN_CONTROL = 50  # pictures of either kind that a reference was not trained on


@dataclass(frozen=True)
class Attack:
    """An attack's scores of the candidates, and its rates.

    Attributes
    ----------
    name
        What it goes by, in a few words.
    scores
        (N,) the higher, the likelier trained on.
    rates
        At 1 % of false alarms, and at 0.1 % where there are enough pictures.
    attacked
        (M,) rows of the pictures that were not trained on and did not set the threshold.
    """

    name: str
    scores: Signals
    rates: list[AttackRates]
    attacked: NDArray[np.int64]

    @property
    def leaks(self) -> bool:
        """Whether training pictures are recognised beyond chance, at any of the rates."""
        return any(rates.leaks for rates in self.rates)


def attack(name: str, scores: Signals, candidates: Candidates, seed: int, attempts: int = 1) -> Attack:
    """The attack by these scores; the intervals are widened where one of several ``attempts`` may alarm."""
    calibration, others = halves(candidates, seed)
    rates = [ALLOWED]
    if int((~candidates.members).sum()) >= MIN_OTHERS_OF_MANY:
        rates.append(ALLOWED_OF_MANY)
    level = 1 - (1 - LEVEL) / (attempts * len(rates))
    members, setting, attacked = scores[candidates.members], scores[calibration], scores[others]
    return Attack(name, scores, [attack_rates(members, setting, attacked, rate, level) for rate in rates], others)


def halves(candidates: Candidates, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rows of pictures that were not trained on: those that set the threshold, and those that are attacked."""
    rows = np.random.default_rng(seed).permutation(np.flatnonzero(~candidates.members))
    return np.sort(rows[: len(rows) // 2]), np.sort(rows[len(rows) // 2 :])


@dataclass(frozen=True)
class ClassRates:
    """How an attack does on one class, at the threshold of all; ``rates`` ``None``: too few pictures to say."""

    name: str
    members: int
    others: int
    rates: AttackRates | None


def class_rates(tried: Attack, candidates: Candidates) -> list[ClassRates]:
    """The rates by class, with intervals that are widened for their number and for that of the attacks."""
    labels, classes = candidates.images.labels, candidates.images.classes
    level = 1 - (1 - tried.rates[0].level) / max(1, len(classes))
    attacked = np.zeros(len(labels), bool)
    attacked[tried.attacked] = True
    over = tried.scores > tried.rates[0].threshold
    rows = []
    for number, name in enumerate(classes):
        mine = labels == number
        inside, outside = mine & candidates.members, mine & attacked
        n, m = int(inside.sum()), int(outside.sum())
        rates = None
        if n >= MIN_OF_CLASS and m >= MIN_OF_CLASS:
            hits, alarms = int((over & inside).sum()), int((over & outside).sum())
            rates = AttackRates(tried.rates[0].threshold, ALLOWED, hits, n, alarms, m, level)
        rows.append(ClassRates(name, n, m, rates))
    return rows


def sets_differ(references: References, candidates: Candidates, seed: int) -> bool:
    """Whether the two sets can be told apart by a model that was trained on neither: then they are of two origins.

    Each reference is attacked as the audited model is, on the pictures that it was not trained on. An alarm says that
    what the attack finds may be how the sets differ, and not what a model has learned by heart.
    """
    draw = np.random.default_rng(seed)
    for number, own in enumerate(references.signals):
        outside = ~references.trained[number]
        inside = np.flatnonzero(outside & candidates.members)
        others = draw.permutation(np.flatnonzero(outside & ~candidates.members))
        if min(len(inside), len(others) // 2) < MIN_CONTROL:
            continue
        scores = own - np.delete(references.signals, number, 0).mean(0)
        setting, attacked = scores[others[: len(others) // 2]], scores[others[len(others) // 2 :]]
        if attack_rates(scores[inside], setting, attacked, ALLOWED, 1 - (1 - LEVEL) / len(references)).leaks:
            return True
    return False
