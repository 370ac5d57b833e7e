"""Shortcuts: properties that a recognizer goes by instead of what a picture shows.

A claim needs two things. The property alone predicts the label, or the recognizer's answers far better than the label,
in cross-validation and with the whole of its interval. And within each class the recognizer is wrong more often where
the property speaks against the label (counterexamples) than where it speaks for it, beyond chance after correction for
the number of properties, by fifteen points at least, and mostly in favour of what the property says.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from diptych.audit.bias.answers import Answers
from diptych.audit.bias.predictability import WIDE, Predictability, predict, reduce
from diptych.audit.bias.properties import Property, measure_properties
from diptych.data.splits import folds_of
from diptych.metrics.stratified import StratifiedDifference, stratified_difference
from diptych.recognition.evaluation.share_score import share_score
from diptych.report import Score

MAX_PICTURES = 3000  # that are searched
FOLDS = 5
MIN_SKILL = 0.5  # with which a property predicts labels, at the lower end of its interval, to be suspicious
MIN_DESCRIBED_SKILL = 0.7  # the same of a corner, in which a piece of the subject may tell a class apart
MIN_EXCESS = 0.15  # or by which it predicts the answers better than the labels, between the ends of both
MIN_COUNTEREXAMPLES = 20  # and as many pictures where the property agrees, under which nothing is concluded
MIN_GAP = 0.15  # of accuracy between them
MIN_FOLLOWED = 0.5  # of the wrong answers to counterexamples, in favour of what the property says
ALPHA = 0.05  # the chance of any claim if no property mattered
SAME_SHARE = 0.8  # of the pictures of which two properties say the same, from which on they are one
MIN_CELL = 10  # counterexamples of one kind, for them to be named as the worst group

Mask = NDArray[np.bool_]
State = Literal["shortcut", "too few", "harmless", "unrelated"]


@dataclass(frozen=True)
class Suspect:
    """A property, and what was seen of it.

    Attributes
    ----------
    name, says
        The property, and the class that it speaks for in each picture, (N,).
    skill, answer_skill
        With which it alone predicts labels, and the recognizer's answers; 0 is chance, 1 always right.
    agreeing, against
        Accuracy where it speaks for the label, and where it speaks against it; ``None``: there is no such picture.
    difference
        Of the two within classes.
    followed
        Of the wrong answers to counterexamples, the share that the property speaks for.
    state
        "shortcut"; "too few" counterexamples to say; "harmless": predictive, yet counterexamples are recognised as
        well; "unrelated": it predicts neither labels nor answers far beyond chance.
    """

    name: str
    says: NDArray[np.int64]
    skill: Score
    answer_skill: Score
    agreeing: Score | None
    against: Score | None
    difference: StratifiedDifference
    followed: float
    state: State
    same: tuple[str, ...] = ()  # names of other properties that say the same of nearly every picture


@dataclass(frozen=True)
class Search:
    """The answers that were searched, and the suspects, the strongest claims first."""

    answers: Answers
    suspects: list[Suspect]

    def of_state(self, state: State) -> list[Suspect]:
        """The suspects of a state."""
        return [suspect for suspect in self.suspects if suspect.state == state]


def search_shortcuts(answers: Answers, seed: int) -> Search:
    """Measure each property of the pictures, or of a random part of many, and compare it with labels and answers."""
    if len(answers) > MAX_PICTURES:
        answers = subset(answers, np.sort(np.random.default_rng(seed).permutation(len(answers))[:MAX_PICTURES]))
    if len(np.unique(answers.targets)) < 2 or len(answers) < 2 * FOLDS:
        return Search(answers, [])
    folds = folds_of(answers.images, FOLDS, seed)
    if len(folds) < 2:
        return Search(answers, [])
    suspects = [_suspect(part, answers, folds) for part in measure_properties(answers.images)]
    threshold = ALPHA / max(1, len(suspects))  # Bonferroni
    return Search(answers, _joined(_judged(suspects, threshold), answers, threshold))


def subset(answers: Answers, rows: NDArray[np.int64]) -> Answers:
    """The answers to the pictures in these rows."""
    arrays = {name: getattr(answers, name)[rows] for name in ("images", "targets", "predicted", "confidence")}
    return replace(answers, **arrays)


def worst_cell(search: Search, suspect: Suspect) -> tuple[int, int | None, Score]:
    """The counterexamples that fare worst: their class, what the property says of them, and their accuracy.

    Where the counterexamples of a class are few, all of them are taken together, whatever the property says (``None``).
    """
    answers = search.answers
    against = suspect.says != answers.targets
    cells: list[tuple[int, int | None, Mask]] = []
    for label in np.unique(answers.targets[against]).tolist():
        of_class = against & (answers.targets == label)
        kinds = [(kind, of_class & (suspect.says == kind)) for kind in np.unique(suspect.says[of_class]).tolist()]
        large = [(label, kind, rows) for kind, rows in kinds if rows.sum() >= MIN_CELL]
        cells += large or [(label, None, of_class)]
    enough = [cell for cell in cells if cell[2].sum() >= MIN_CELL] or cells
    scored = [(label, kind, share_score(int(answers.correct[r].sum()), int(r.sum()))) for label, kind, r in enough]
    return min(scored, key=lambda cell: cell[2].value)


def _suspect(part: Property, answers: Answers, folds: Sequence[NDArray[np.int64]]) -> Suspect:
    narrow, k = part.values.shape[1] <= WIDE or part.is_column, len(answers.classes)
    values = part.values.astype(np.float64) if narrow else reduce(part.values)
    of_labels = predict(values, answers.targets, k, folds, narrow=narrow)
    of_answers = (
        predict(values, answers.predicted, k, folds, narrow=narrow) if _several(answers.predicted) else of_labels
    )
    by_label = (of_labels.skill.low or 0.0) >= (MIN_DESCRIBED_SKILL if part.is_described else MIN_SKILL)
    suspicious = by_label or (of_answers.skill.low or 0.0) - (of_labels.skill.high or 1.0) >= MIN_EXCESS
    chosen = of_labels if by_label else of_answers
    return _compared(part.name, chosen, of_labels.skill, of_answers.skill, answers, suspicious=suspicious)


def _several(numbers: NDArray[np.int64]) -> bool:
    return len(np.unique(numbers)) > 1


def _compared(
    name: str, chosen: Predictability, skill: Score, answer_skill: Score, answers: Answers, *, suspicious: bool
) -> Suspect:
    agrees, correct = chosen.says == answers.targets, answers.correct
    wrong = ~agrees & ~correct
    scores = [share_score(int(correct[r].sum()), int(r.sum())) if r.any() else None for r in (agrees, ~agrees)]
    enough = min(agrees.sum(), (~agrees).sum()) >= MIN_COUNTEREXAMPLES
    return Suspect(
        name=name,
        says=chosen.says,
        skill=skill,
        answer_skill=answer_skill,
        agreeing=scores[0],
        against=scores[1],
        difference=_difference(agrees, correct, answers.targets),
        followed=float((answers.predicted == chosen.says)[wrong].mean()) if wrong.any() else 0.0,
        state="unrelated" if not suspicious else "harmless" if enough else "too few",
    )


def _difference(agrees: Mask, correct: Mask, strata: NDArray[np.int64]) -> StratifiedDifference:
    """How much higher the accuracy is where a property agrees with the label, within strata of the pictures."""
    length = int(strata.max()) + 1

    def counts(rows: Mask) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        return np.bincount(strata[rows & correct], minlength=length), np.bincount(strata[rows], minlength=length)

    return stratified_difference(*counts(agrees), *counts(~agrees))


def _judged(suspects: list[Suspect], threshold: float) -> list[Suspect]:
    """The suspects with those that are shortcuts named so; in each state, the most predictive first."""
    judged = [
        replace(s, state="shortcut")
        if s.state == "harmless" and _is_large(s.difference, threshold) and s.followed >= MIN_FOLLOWED
        else s
        for s in suspects
    ]
    order: list[State] = ["shortcut", "too few", "harmless", "unrelated"]
    # Of about equal ones, that which a person understands best stays first.
    return sorted(judged, key=lambda s: (order.index(s.state), -round(20 * max(s.skill.value, s.answer_skill.value))))


def _is_large(difference: StratifiedDifference, threshold: float) -> bool:
    return difference.p < threshold and difference.value >= MIN_GAP


def _joined(suspects: list[Suspect], answers: Answers, threshold: float) -> list[Suspect]:
    """Suspicious properties that come to the same as one, under the name of the first."""
    kept: list[Suspect] = []
    for suspect in suspects:
        twin = next((i for i, other in enumerate(kept) if _is_same(other, suspect, answers, threshold)), None)
        if twin is None:
            kept.append(suspect)
        else:
            kept[twin] = replace(kept[twin], same=(*kept[twin].same, suspect.name))
    return kept


def _is_same(one: Suspect, other: Suspect, answers: Answers, threshold: float) -> bool:
    """Whether two properties speak for the same classes, or the difference of the other is explained by the first."""
    if "unrelated" in (one.state, other.state) or one.state != other.state:
        return False
    if float((one.says == other.says).mean()) >= SAME_SHARE:
        return True
    if one.state != "shortcut":
        return False
    agrees, explained = (s.says == answers.targets for s in (other, one))
    return not _is_large(_difference(agrees, answers.correct, 2 * answers.targets + explained), threshold)
