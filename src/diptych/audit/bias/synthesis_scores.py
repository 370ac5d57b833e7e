"""Scores of generated pictures by class and by group: kernel distance, coverage, copies."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diptych.audit.bias.groups import Grouping
from diptych.data.images import Images
from diptych.interplay.inputs import GEOMETRY
from diptych.interplay.judge import Judge
from diptych.metrics.distribution import kernel_distance, kernel_variance
from diptych.metrics.intervals import NORMAL_95, difference_interval
from diptych.metrics.memorisation import MAX_SIDE, TrainingPictures, copy_threshold, is_copy, nearest_training
from diptych.metrics.prdc import covered_rows
from diptych.recognition.evaluation.share_score import share_score
from diptych.report import Score

MIN_PICTURES = 50  # real ones of a group, and samples, under which nothing is concluded
ALPHA = 0.05  # the chance of any finding if all groups are alike
MIN_COVERAGE_GAP, MIN_COPY_GAP, MIN_DISTANCE_GAP = 0.1, 0.02, 0.05  # smaller differences do not matter
MIN_UNIT = 1e-12


@dataclass(frozen=True)
class Reference:
    """What samples are compared with.

    Attributes
    ----------
    images, features
        N real pictures as squares, and the judge's features of them.
    classes
        Their classes, in the order of a conditional model's; ``None``: the model is not conditional.
    divisions
        Groups by metadata.
    training
        The pictures that the model was trained on; ``None``: not known.
    """

    images: Images
    features: Tensor
    classes: Grouping | None
    divisions: list[Grouping]
    training: Images | None
    judge: Judge


@dataclass(frozen=True)
class GroupScore:
    """How a group fares; ``None``: too few pictures to say, or not defined for it.

    Attributes
    ----------
    distance
        Kernel distance between samples of the class and its real pictures, in units of the variance of all real ones.
    coverage
        Share of the group's real pictures with a sample in their neighbourhood.
    copies
        Share of the samples that copy a training picture.
    """

    column: str
    value: str
    pictures: int
    distance: Score | None
    coverage: Score | None
    copies: Score | None

    @property
    def name(self) -> str:
        """Column and value."""
        return f"{self.column} {self.value}"

    @property
    def sentence_name(self) -> str:
        """The same at the beginning of a sentence."""
        return self.name[0].upper() + self.name[1:]


@dataclass(frozen=True)
class GeneratedScores:
    """The scores of all groups at a strength of guidance ("": there is none), and what is worse, as sentences."""

    strength: str
    samples: int
    groups: list[GroupScore]
    findings: list[str]


def score_samples(strength: str, samples: Sequence[Images], reference: Reference) -> GeneratedScores:
    """Score samples, a set for each class of a conditional model or one set."""
    features = [reference.judge.features(part) for part in samples]
    copies = _copies(samples, reference)
    groups: list[GroupScore] = []
    if reference.classes is not None:
        groups += list(_by_class(features, copies, reference))
    pooled = torch.cat(features)
    covered = covered_rows(pooled, reference.features).numpy()
    for grouping in reference.divisions:
        groups += list(_by_group(grouping, covered))
    findings = [sentence for column in dict.fromkeys(g.column for g in groups) for sentence in _worse(column, groups)]
    return GeneratedScores(strength, sum(map(len, samples)), groups, findings)


def _by_class(features: Sequence[Tensor], copies: Sequence[Score | None], reference: Reference) -> Iterator[GroupScore]:
    """Each class by samples of it, all at the same number of pictures, on which coverage depends."""
    classes = reference.classes
    assert classes is not None
    rows = [np.flatnonzero(classes.rows(number)) for number in range(len(classes.values))]
    unit = max(kernel_variance(reference.features), MIN_UNIT)
    large = [len(part) for part in rows if len(part) >= MIN_PICTURES]
    common = min([*large, *map(len, features)], default=0)
    for number, value in enumerate(classes.values):
        distance = coverage = None
        if len(rows[number]) >= MIN_PICTURES:
            real = reference.features[torch.from_numpy(rows[number])]
            ends = kernel_distance(features[number], real)
            distance = Score(ends.value / unit, ends.low / unit, ends.high / unit, len(real))
            covered = covered_rows(features[number][:common], _spread(real, common))
            coverage = share_score(int(covered.sum()), len(covered))
        yield GroupScore("class", value, len(rows[number]), distance, coverage, copies[number])


def _spread(features: Tensor, count: int) -> Tensor:
    """``count`` of the rows, evenly spread."""
    return features[torch.linspace(0, len(features) - 1, count).round().long()]


def _by_group(grouping: Grouping, covered: NDArray[np.bool_]) -> Iterator[GroupScore]:
    """Each metadata group by how many of its real pictures all samples together cover."""
    for number, value in enumerate(grouping.values):
        inside = covered[grouping.rows(number)]
        coverage = share_score(int(inside.sum()), len(inside)) if len(inside) >= MIN_PICTURES else None
        yield GroupScore(grouping.name, value, len(inside), None, coverage, None)


def _copies(samples: Sequence[Images], reference: Reference) -> list[Score | None]:
    """The copy rate of each set of samples; ``None`` where the training pictures are not known."""
    if reference.training is None:
        return [None] * len(samples)
    side = min(MAX_SIDE, int(reference.images.dimensions()[0, 0]))
    training = TrainingPictures(reference.training.pixels(side, GEOMETRY))
    held_out = nearest_training(reference.images.pixels(side, GEOMETRY), training)
    threshold = copy_threshold(training, held_out)
    matches = [nearest_training(part.pixels(side, GEOMETRY), training) for part in samples]
    return [share_score(int(is_copy(match, threshold).sum()), len(match.distance)) for match in matches]


def _worse(column: str, groups: Sequence[GroupScore]) -> Iterator[str]:
    """Sentences on the groups of a column that fare worse than its others beyond chance, corrected for all of them."""
    of_column = [group for group in groups if group.column == column]
    z = NormalDist().inv_cdf(1 - ALPHA / (2 * max(1, 3 * len(of_column))))
    for group in of_column:
        others = [other for other in of_column if other is not group]
        for what, score, rest, sign, least in (
            ("covered less", group.coverage, [o.coverage for o in others], -1, MIN_COVERAGE_GAP),
            ("copied more often", group.copies, [o.copies for o in others], 1, MIN_COPY_GAP),
        ):
            known = [other for other in rest if other is not None]
            if score is not None and known and _is_worse(score, known, sign, least, z):
                mean = sum(o.value * o.n for o in known) / sum(o.n for o in known)
                yield f"{group.sentence_name} is {what}: {score}, against {mean:.1%} elsewhere."
        distances = [other.distance for other in others if other.distance is not None]
        if group.distance is not None and distances and _is_farther(group.distance, distances, z):
            mean = sum(o.value for o in distances) / len(distances)
            figures = f"{group.distance}, against {mean:.3f} elsewhere"
            yield f"{group.sentence_name} is farther from real pictures: {figures}."


def _is_worse(score: Score, others: Sequence[Score], sign: int, least: float, z: float) -> bool:
    hits, n = (sum(round(o.value * o.n) for o in others), sum(o.n for o in others))
    low, high = difference_interval(round(score.value * score.n), score.n, hits, n, z)
    gap = sign * (score.value - hits / n)
    return gap >= least and (low > 0 if sign > 0 else high < 0)


def _is_farther(distance: Score, others: Sequence[Score], z: float) -> bool:
    gap = distance.value - sum(o.value for o in others) / len(others)
    variance = _variance(distance) + sum(map(_variance, others)) / len(others) ** 2
    return gap >= MIN_DISTANCE_GAP and gap > z * float(np.sqrt(variance))


def _variance(score: Score) -> float:
    assert score.low is not None
    assert score.high is not None
    return ((score.high - score.low) / (2 * NORMAL_95)) ** 2
