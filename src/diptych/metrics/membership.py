"""Membership inference as pure functions: who was trained on, told from scores at a low rate of false alarms.

What counts is how many training pictures are recognised at a rate of false alarms so low that an attacker can be sure
of them (Carlini et al., "Membership inference attacks from first principles", S&P 2022), not an average over all.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diptych.metrics.intervals import clopper_pearson_interval

MIN_DOUBT = 1e-9  # 1 − p that log odds tell from none

Values = NDArray[np.float64]


@dataclass(frozen=True)
class AttackRates:
    """How an attack does at one threshold.

    Attributes
    ----------
    threshold
        Scores above it are taken for training pictures.
    allowed
        The false-positive rate that it is set for.
    hits, members
        How many of the training pictures are above it.
    false_alarms, others
        How many of the pictures that were not trained on, and that did not set the threshold, are.
    level
        Of the intervals: 0.95, or more where several attacks are tried.
    """

    threshold: float
    allowed: float
    hits: int
    members: int
    false_alarms: int
    others: int
    level: float = 0.95

    @property
    def true_positive_interval(self) -> tuple[float, float]:
        """The exact interval of the true-positive rate."""
        return clopper_pearson_interval(self.hits, self.members, self.level)

    @property
    def false_positive_interval(self) -> tuple[float, float]:
        """The exact interval of the false-positive rate."""
        return clopper_pearson_interval(self.false_alarms, self.others, self.level)

    @property
    def leaks(self) -> bool:
        """Whether training pictures are recognised beyond chance: the interval lies above that of false alarms.

        It must also lie above the rate that is allowed.
        """
        return self.true_positive_interval[0] > max(self.false_positive_interval[1], self.allowed)


def log_relative_probability(target: Values, references: Values) -> Values:
    """Log p(x | θ) − log p(x): how much likelier the audited model finds each picture than reference models do.

    RMIA (Zarifzadeh, Liu & Shokri, "Low-cost high-power membership inference attacks", ICML 2024, equations 2 and 9),
    with p(x) the mean over the references, half of which were trained on x. The score of that paper is the share of
    other pictures whose ratio is smaller: it grows with this one, so the threshold and the rates are the same.

    Parameters
    ----------
    target
        (N,) log probabilities of the audited model.
    references
        (R, N) those of the reference models.
    """
    most = references.max(0)
    return np.asarray(target - most - np.log(np.exp(references - most).mean(0)))


def relative_log_odds(target: Values, references: Values) -> Values:
    """How much larger the log odds of each picture are than on average over the reference models.

    Log p / (1 − p) tells a label that is known by heart from one that is merely likely, which the probability does not
    (Carlini et al. 2022, section 4); the mean of the references is its calibration by difficulty (Watson et al. 2022).

    Parameters
    ----------
    target, references
        As of :func:`log_relative_probability`.
    """
    return np.asarray(_log_odds(target) - _log_odds(references).mean(0))


def _log_odds(log_probabilities: Values) -> Values:
    """Log p / (1 − p) of log p, at most about 20."""
    return np.asarray(log_probabilities - np.log(-np.expm1(np.minimum(log_probabilities, -MIN_DOUBT))))


def threshold_at(others: Values, allowed: float) -> float:
    """The score that a picture which was not trained on exceeds with a probability of at most ``allowed``.

    The k-th largest of m such scores is exceeded by one more with probability k / (m + 1), whatever their
    distribution; with m too small for ``allowed`` the largest is returned, which 1 / (m + 1) exceed.
    """
    rank = max(1, math.floor(allowed * (len(others) + 1)))
    return float(np.sort(others)[-rank])


def attack_rates(
    members: Values, calibration: Values, others: Values, allowed: float, level: float = 0.95
) -> AttackRates:
    """The rates at the threshold that ``calibration`` sets, on ``members`` and on ``others``.

    ``calibration`` and ``others`` are scores of two sets of pictures that were not trained on.
    """
    threshold = threshold_at(calibration, allowed)
    hits, alarms = int((members > threshold).sum()), int((others > threshold).sum())
    return AttackRates(threshold, allowed, hits, len(members), alarms, len(others), level)


def attack_curve(members: Values, others: Values) -> tuple[Values, Values]:
    """False-positive and true-positive rates at every threshold, ascending."""
    thresholds = np.unique(np.concatenate([members, others]))[::-1]
    ranked_members, ranked_others = np.sort(members), np.sort(others)
    true_rates = 1 - np.searchsorted(ranked_members, thresholds, "left") / len(members)
    false_rates = 1 - np.searchsorted(ranked_others, thresholds, "left") / len(others)
    return np.asarray(false_rates), np.asarray(true_rates)
