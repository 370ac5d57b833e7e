"""The answer of a verdict, by rules that can say "no".

Synthetic pictures are recommended only if the interval of their gain over the tuned baseline lies above 0, no class's
interval lies wholly below -2 points, and, where classes are uneven, drawing the scarce ones more often does not do as
well: that needs no synthesizer. Which arm stands for them is chosen on the selection pictures, never on the test.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from diptych.data.messages import join_names
from diptych.interplay.verdict.arms import CURVE, OVERSAMPLED, PRETRAINED, Arm
from diptych.interplay.verdict.learning_curve import LearningCurve, fit_curve
from diptych.interplay.verdict.paired_bootstrap import Estimate, PairedBootstrap
from diptych.interplay.verdict.parts import Parts
from diptych.interplay.verdict.study import ArmResult, pictures_of
from diptych.report import Verdict

MAX_CLASS_LOSS = 0.02  # of a class's recall
UNEVEN = 1.5  # times the pictures of the scarcest class from which on the most frequent one makes classes uneven
RECOMMENDED, NOT_RECOMMENDED = "recommended", "not_recommended"


@dataclass(frozen=True)
class ArmScore:
    """An arm on the test pictures.

    Attributes
    ----------
    selection
        Mean score on the selection pictures, see :func:`diptych.interplay.verdict.study.selection_score`.
    accuracy, gain
        Balanced accuracy, and that minus the baseline's.
    class_gains
        The same of each class's recall.
    """

    arm: Arm
    selection: float
    accuracy: Estimate
    gain: Estimate
    class_gains: list[Estimate]


@dataclass(frozen=True)
class Answer:
    """All that a verdict found.

    Attributes
    ----------
    scores
        Of the arms, the baseline first.
    synthetic, other
        The best arm with generated pictures, and the best without besides the baseline.
    over_oversampling
        The gain of ``synthetic`` over drawing scarce classes more often; ``None``: classes are even.
    losing
        Classes whose interval lies wholly below the limit.
    classes
        Names of the classes that the test has, in the order of ``class_gains``.
    per_class
        Pictures of each class that ``synthetic`` learned from, on average.
    """

    scores: list[ArmScore]
    synthetic: ArmScore
    other: ArmScore
    over_oversampling: Estimate | None
    losing: list[str]
    classes: list[str]
    per_class: int
    curve: LearningCurve

    @property
    def recommended(self) -> bool:
        """Whether generated pictures are to be added."""
        suffices = self.over_oversampling is not None and self.over_oversampling.low <= 0
        return self.synthetic.gain.low > 0 and not self.losing and not suffices


def find_answer(results: Sequence[ArmResult], parts: Parts) -> Answer:
    """Compare all arms on the test pictures."""
    bootstrap = PairedBootstrap(parts.test.labels, len(results[0].correct))
    by_arm = {result.arm.key: result.correct for result in results}
    baseline = results[0].correct
    scores = [
        ArmScore(
            result.arm,
            float(result.selection.mean()),
            bootstrap.balanced_accuracy(result.correct),
            bootstrap.gain(result.correct, baseline),
            bootstrap.class_gains(result.correct, baseline),
        )
        for result in results
        if result.arm not in CURVE
    ]
    synthetic = max((s for s in scores if s.arm.synthetic), key=lambda s: s.selection)
    names = [parts.classes[label] for label in bootstrap.classes]
    losing = [name for name, gain in zip(names, synthetic.class_gains, strict=True) if gain.high < -MAX_CLASS_LOSS]
    counts = np.bincount(parts.training.labels)
    uneven = counts.max() > UNEVEN * counts.min()
    curve = [*CURVE, results[0].arm]
    return Answer(
        scores=scores,
        synthetic=synthetic,
        other=max((s for s in scores[1:] if not s.arm.synthetic), key=lambda s: s.selection),
        over_oversampling=bootstrap.gain(by_arm[synthetic.arm.key], by_arm[OVERSAMPLED.key]) if uneven else None,
        losing=losing,
        classes=names,
        per_class=round((1 + synthetic.arm.dose) * counts.sum() / len(counts)),
        curve=fit_curve(bootstrap, list(pictures_of(curve, parts.training)), [by_arm[arm.key] for arm in curve]),
    )


def points(estimate: Estimate) -> str:
    """A difference in percentage points: "+2.3 points (0.8 to 3.9)"."""
    return in_points(estimate).replace(" ", " points ", 1)


def in_points(estimate: Estimate) -> str:
    """The same where a column is headed so: "+2.3 (0.8 to 3.9)"."""
    value, low, high = (round(100 * end, 1) + 0.0 for end in (estimate.value, estimate.low, estimate.high))
    return f"{value:+.1f} ({low:.1f} to {high:.1f})"


def verdict_of(answer: Answer) -> Verdict:
    """The answer in words."""
    reasons = [_reason(answer), _what_helped(answer), _more_pictures(answer.curve)]
    word = RECOMMENDED if answer.recommended else NOT_RECOMMENDED
    return Verdict(word, _sentence(answer), " ".join(reasons), _next_step(answer))


def _sentence(answer: Answer) -> str:
    gain = points(answer.synthetic.gain)
    if answer.recommended:
        return f"Yes: synthetic pictures help here ({gain})."
    if answer.synthetic.gain.low > 0 and answer.losing:
        return f"No: synthetic pictures help on the whole ({gain}), but harm {join_names(answer.losing)}."
    if answer.synthetic.gain.low > 0:
        return f"No: synthetic pictures help ({gain}), but no more than drawing scarce classes more often."
    return f"No: synthetic pictures did not help here ({gain})."


def _reason(answer: Answer) -> str:
    baseline = answer.scores[0].accuracy
    text = (
        f"Of the ways to add them this one did best on the pictures to choose by: {answer.synthetic.arm.title}. "
        f"The tuned baseline on real pictures alone has a balanced accuracy of {baseline.value:.1%} "
        f"({baseline.low:.1%} to {baseline.high:.1%})."
    )
    if answer.over_oversampling is not None:
        text += f" Over drawing scarce classes more often the gain is {points(answer.over_oversampling)}."
    return text


def _what_helped(answer: Answer) -> str:
    best = answer.other
    helped = "helped" if best.gain.low > 0 else "did not help beyond chance"
    return (
        f"Without a synthesizer the best on the pictures to choose by, {best.arm.title}, {helped}: {points(best.gain)}."
    )


def _more_pictures(curve: LearningCurve) -> str:
    return f"Twice as many real pictures would bring about {points(curve.gain)}."


def _next_step(answer: Answer) -> str:
    if answer.recommended:
        return f"add them, filtered: diptych balance DATA MODEL --per-class {answer.per_class} -o NEW-FOLDER"
    if answer.other.arm == PRETRAINED and answer.other.gain.low > 0:
        return "train with what helped: diptych fit recognizer DATA --network lite0 -o NEW-MODEL"
    if answer.other.arm == OVERSAMPLED and answer.other.gain.low > 0:
        return "correct for uneven classes: diptych fit recognizer DATA --imbalance auto -o NEW-MODEL"
    if answer.curve.gain.low > 0:
        return "add real pictures, those of the weakest classes first: diptych inspect DATA"
    return "fit a recognizer, whose page shows what it gets wrong: diptych fit recognizer DATA -o NEW-MODEL"
