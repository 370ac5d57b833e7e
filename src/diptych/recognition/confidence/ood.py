"""Noticing pictures unlike any that a recognizer knows, by three signs of how familiar a picture is.

energy
    How strongly any class answers: log Σ exp(logit) (Liu et al. 2020, "Energy-based out-of-distribution detection",
    equation 4); with several labels Σ log(1 + exp(logit)) (Wang et al. 2021).
nearness
    The cosine similarity to the nearest training pictures (Sun et al. 2022, "Out-of-distribution detection with deep
    nearest neighbors"), times the length of the features, which are short where a network finds little that
    it knows: the score of Tack et al. 2020, "CSI", equation 5.
detail
    How the contrast falls from fine detail to coarse, the slope of the spectrum by which natural pictures are alike
    (Torralba & Oliva 2003, "Statistics of natural image categories"), as the Mahalanobis distance to the training
    pictures (Lee et al. 2018). It notices drawings, noise and enlarged thumbnails, and is blind to what is shown.

Each sign becomes the probability that a known picture shows so little of it, and Fisher's method combines them
(Bergamin et al. 2022, "Model-agnostic out-of-distribution detection using combined statistical tests"). The threshold
is a conformal one (Bates et al. 2023, "Testing for outliers with conformal p-values").
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from diptych.recognition.inference.embeddings import EmbeddingIndex
from diptych.recognition.inference.outputs import Outputs

OOD_SCORES = ("energy", "nearness", "detail")
SHARE = 0.02  # of known pictures is told "unknown": the price of the word
NORMAL_TAIL = 2.0537  # deviations under a normal distribution's mean lies that share
NEIGHBOURS = 10
RIDGE = 1e-3  # added to the variance of the slopes, so that pictures all alike still allow a little


@dataclass(frozen=True)
class FamiliarityScale:
    """What the signs are of n known pictures that were not trained on.

    Attributes
    ----------
    centre, spread
        Mean and standard deviation of each sign.
    threshold
        A familiarity under this is told "unknown".
    n
        The pictures that it rests on.
    """

    centre: tuple[float, ...]
    spread: tuple[float, ...]
    threshold: float
    n: int

    @classmethod
    def of(cls, signs: Tensor) -> "FamiliarityScale":
        """The scale of (n, 3) signs."""
        signs, n = signs.double(), len(signs)
        centre = signs.mean(0)
        spread = signs.std(0, correction=1) if n > 1 else centre.abs()
        spread = spread.clamp(min=1e-6 * (1 + float(centre.abs().max())))
        made = cls(tuple(centre.tolist()), tuple(spread.tolist()), 0.0, n)
        return cls(made.centre, made.spread, familiarity_threshold(made.familiarity(signs)), n)

    def familiarity(self, signs: Tensor) -> Tensor:
        """(N,) float64, 0 at most, of (N, 3) signs; NaN where they are.

        Σ log p, where p is the probability that a further known picture shows less of a sign: Student's t with n − 1
        degrees of freedom, since centre and spread rest on n pictures (by Wallace's normal approximation, 1959).
        """
        free = max(1, self.n - 1)
        off = (signs.double() - torch.tensor(self.centre)) / torch.tensor(self.spread) / (1 + 1 / self.n) ** 0.5
        normal = off.sign() * (8 * free + 1) / (8 * free + 3) * (free * (off.square() / free).log1p()).sqrt()
        chance: Tensor = torch.special.log_ndtr(normal).sum(1)
        return chance

    def json(self) -> dict[str, Any]:
        """As ``model.json`` holds it."""
        return {"centre": self.centre, "spread": self.spread, "threshold": self.threshold, "n": self.n}

    @classmethod
    def restored(cls, told: Mapping[str, Any]) -> "FamiliarityScale":
        """The scale that ``model.json`` holds."""
        return cls(tuple(told["centre"]), tuple(told["spread"]), float(told["threshold"]), int(told["n"]))


def ood_scores(observed: Outputs, memory: EmbeddingIndex, *, multi_label: bool) -> Tensor:
    """(N, 3) float32: energy, nearness and detail of N pictures; the larger, the more familiar."""
    return torch.stack(
        (
            energy(observed.logits, multi_label=multi_label),
            _nearness(observed.features, memory),
            _detail(observed, memory),
        ),
        1,
    )


def energy(logits: Tensor, *, multi_label: bool) -> Tensor:
    """(N,) the negative energy of (N, K) logits."""
    return F.softplus(logits).sum(1) if multi_label else logits.logsumexp(1)


def energy_threshold(energies: Tensor) -> float:
    """Below this negative energy a picture is told "unknown" where nothing else is there to go by.

    Of under 49 known pictures, it is where 2 % of a normal distribution with their mean and deviation would lie.
    """
    known = energies.double()
    return familiarity_threshold(known, float(known.mean() - NORMAL_TAIL * known.std(correction=0)))


def familiarity_threshold(familiarity: Tensor, of_few: float = len(OOD_SCORES) * math.log(SHARE)) -> float:
    """Below this a picture is told "unknown": the k-th lowest familiarity of n known pictures.

    k = ⌊0.02 (n + 1)⌋, so that of further known pictures a share of k/(n + 1) falls under it, on average over such
    sets of n. Under 49 pictures k is 0; then it is ``of_few``, or lower than all of theirs: by default where the
    familiarity of 2 % would lie if all signs always agreed, 3 log 0.02.
    """
    known = familiarity.double().sort().values
    k = threshold_rank(len(known))
    return float(known[k - 1]) if k else min(float(known[0]), of_few)


def threshold_rank(n: int) -> int:
    """Which of n familiarities, counted from the lowest, is the threshold; 0 where n are too few to tell."""
    return int(SHARE * (n + 1) + 1e-9)


def _nearness(features: Tensor, memory: EmbeddingIndex) -> Tensor:
    similarities, _ = memory.nearest(F.normalize(features, dim=1), NEIGHBOURS)
    near: Tensor = similarities.mean(1) * torch.linalg.vector_norm(features, dim=1)
    return near


def detail_statistics(memory: EmbeddingIndex) -> tuple[Tensor, Tensor]:
    """Mean (3,) and covariance (3, 3) of the slopes of what was learned, float64."""
    learned = memory.slopes.double()
    centre = learned.mean(0)
    aside = learned - centre
    return centre, aside.T @ aside / len(learned) + RIDGE * torch.eye(learned.shape[1], dtype=torch.float64)


def _detail(observed: Outputs, memory: EmbeddingIndex) -> Tensor:
    """Minus the cube root of the squared distance, which is near to normal (Wilson & Hilferty 1931)."""
    centre, covariance = detail_statistics(memory)
    off = observed.slopes.double() - centre
    squared = (off @ torch.linalg.inv(covariance) * off).sum(1)
    alike: Tensor = -squared.clamp(min=0).pow(1 / 3)
    return alike.float()
