"""What more real pictures would bring: a power law through the errors of trainings on parts of those at hand.

Its interval reflects the test pictures, the seeds, and how badly the errors lie on a power law: each resample also
weighs the numbers of pictures at random (Rubin 1981, "The Bayesian bootstrap").

Cortes et al. 1993, "Learning curves: asymptotic values and rate of convergence"; Hestness et al. 2017, "Deep learning
scaling is predictable, empirically".
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diptych.interplay.verdict.paired_bootstrap import Correct, Estimate, PairedBootstrap

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LearningCurve:
    """Balanced accuracy by the number of real training pictures.

    Attributes
    ----------
    pictures
        (P,) how many, ascending; the last are all.
    accuracies
        One for each.
    exponent
        b of the error a·n^(-b).
    doubled
        The balanced accuracy that twice as many pictures would give.
    gain
        That minus what the curve gives for all of them.
    """

    pictures: list[int]
    accuracies: list[Estimate]
    exponent: Estimate
    doubled: Estimate
    gain: Estimate

    def json(self) -> dict[str, object]:
        """JSON-able."""
        return {
            "pictures": self.pictures,
            "balanced_accuracy": [accuracy.json() for accuracy in self.accuracies],
            "exponent": self.exponent.json(),
            "twice_as_many": self.doubled.json(),
            "gain_of_twice_as_many": self.gain.json(),
        }


def fit_curve(bootstrap: PairedBootstrap, pictures: Sequence[int], correct: Sequence[Correct]) -> LearningCurve:
    """Fit the curve to the models of each number of pictures, and again to each resample."""
    measured = [bootstrap.recalls(models.astype(np.float32)) for models in correct]
    floor = 0.5 / correct[0].shape[1]  # half a picture: no error cannot be drawn on a scale of logarithms
    errors = np.maximum([1 - means.mean() for means, _ in measured], floor)
    resampled = np.maximum(np.stack([1 - rounds.mean(1) for _, rounds in measured], 1), floor)
    counts = np.asarray(pictures, np.float64)
    exponent, now, then = power_law(counts, errors[None])
    weights = np.random.default_rng(0).exponential(size=resampled.shape)
    exponents, now_resampled, then_resampled = power_law(counts, resampled, weights)
    return LearningCurve(
        pictures=[int(n) for n in pictures],
        accuracies=[Estimate.of(1 - e, 1 - column) for e, column in zip(errors, resampled.T, strict=True)],
        exponent=Estimate.of(exponent[0], exponents),
        doubled=Estimate.of(1 - then[0], 1 - then_resampled),
        gain=Estimate.of(now[0] - then[0], now_resampled - then_resampled),
    )


def power_law(pictures: Floats, errors: Floats, weights: Floats | None = None) -> tuple[Floats, Floats, Floats]:
    """Fit log error = log a - b·log n by least squares, to each row of (R, P) errors with its own weights (R, P).

    Returns (R,) each: b, and the fitted errors at the last number of pictures and at twice as many (at most 1).
    """
    x, y = np.log(pictures), np.log(errors)
    weights = np.ones_like(errors) if weights is None else weights
    weights = weights / weights.sum(1, keepdims=True)
    x_mean, y_mean = (weights * x).sum(1), (weights * y).sum(1)
    centred = x - x_mean[:, None]
    slope = (weights * centred * y).sum(1) / (weights * np.square(centred)).sum(1)
    at_last = y_mean + slope * (x[-1] - x_mean)
    at_twice = at_last + slope * np.log(2)
    return -slope, np.minimum(np.exp(at_last), 1), np.minimum(np.exp(at_twice), 1)
