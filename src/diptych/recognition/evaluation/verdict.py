"""The verdict on a recognizer: what its scores on held-out pictures come to, by fixed rules."""

from collections.abc import Mapping
from dataclasses import dataclass

from diptych.report import Score, Verdict

RELIABLE_ACCURACY, USEFUL_ACCURACY = 0.95, 0.8
MAX_LOWER_END_GAP = 0.05  # by which the lower end of the interval may fall short of these
RELIABLE_ERRORS, USEFUL_ERRORS = 0.25, 0.5  # at most this share of the errors of always naming the commonest class
MIN_RECALL = 0.8  # of every class of a reliable recognizer, as far as its pictures can tell
MAX_CALIBRATION_ERROR = 0.1  # of a reliable recognizer
FEW_PICTURES = 50  # held out, under which the reason says that they are few
MEASURE = "diptych evaluate MODEL OTHER-PICTURES"
MORE_TIME = "diptych fit recognizer DATA -o MODEL --more 5"


@dataclass(frozen=True)
class Evidence:
    """What the verdict rests on.

    Attributes
    ----------
    accuracy
        On pictures that were not trained on, with its interval.
    guessing
        The accuracy of always naming the commonest class, 0..1.
    calibration_error
        The mean gap between confidence and accuracy, 0..1.
    recalls
        By class, the share of its pictures that is recognised; classes without a picture are left out.
    trained_on
        How many of the pictures were trained on, so that the scores prove nothing.
    """

    accuracy: Score
    guessing: float
    calibration_error: float
    recalls: Mapping[str, Score]
    trained_on: int = 0

    @property
    def worst_class(self) -> str:
        """The class of the lowest recall."""
        return min(self.recalls, key=lambda name: self.recalls[name].value)


def recognizer_verdict(evidence: Evidence) -> Verdict:
    """One of seven: "not_held_out", "too_few", "guessing", "promising", "weak", "useful" or "reliable".

    It is better than guessing where the lower end of the accuracy's interval exceeds the commonest class's share;
    useful and reliable also ask for an accuracy, for few errors compared with guessing, and the latter for every class
    to be recognised and for honest confidence. Where the pictures are too few to tell, the interval reaching from too
    low to high enough, it is promising, or too few are said to be held out.
    """
    if evidence.trained_on:
        return _not_held_out(evidence)
    if not _beats_guessing(evidence):
        return _no_better(evidence)
    if not _reaches(evidence, USEFUL_ACCURACY, USEFUL_ERRORS):
        return _not_useful(evidence)
    shortcomings = _shortcomings(evidence)
    if not shortcomings:
        sentence, step = "Reliable on pictures like these.", "use it: diptych predict MODEL PICTURES"
        return Verdict("reliable", sentence, _reason(evidence), step)
    undecided = _would_be_reliable(evidence) and not _reaches(evidence, RELIABLE_ACCURACY, RELIABLE_ERRORS)
    then = f"be sure of it: {MEASURE}" if undecided else f"train longer: {MORE_TIME}"
    return Verdict(
        "useful",
        "Good enough to sort pictures; check the doubtful ones.",
        f"{_reason(evidence)} Not reliable, since {shortcomings[0]}.",
        f"sort, and check those of low confidence: diptych predict MODEL PICTURES; or {then}",
    )


def _not_held_out(evidence: Evidence) -> Verdict:
    return Verdict(
        "not_held_out",
        "These pictures are no test: some were trained on.",
        f"{evidence.trained_on} or more of the {evidence.accuracy.n} pictures are training pictures, on which a "
        "recognizer looks better than it is.",
        f"evaluate on pictures that it has never seen: {MEASURE}",
    )


def _no_better(evidence: Evidence) -> Verdict:
    accuracy = evidence.accuracy
    if accuracy.value > evidence.guessing and (accuracy.n < FEW_PICTURES or _may_be_useful(evidence)):
        sentence = "Too few held-out pictures to tell whether it is better than guessing."
        return Verdict("too_few", sentence, _figures(evidence), f"add pictures, or evaluate on others: {MEASURE}")
    step = f"check pictures and labels with diptych inspect DATA, then train longer: {MORE_TIME}"
    return Verdict("guessing", "No better than guessing.", _reason(evidence), step)


def _not_useful(evidence: Evidence) -> Verdict:
    accuracy = evidence.accuracy
    too_wide = _is_enough(accuracy.value, evidence, USEFUL_ACCURACY, USEFUL_ERRORS)  # only the interval is
    if (too_wide or accuracy.n < FEW_PICTURES) and _may_be_useful(evidence):
        low, high = _ends(accuracy)
        return Verdict(
            "promising",
            f"Promising, measured on few pictures: of others like these, between {low:.0%} and {high:.0%} are right.",
            _figures(evidence),
            f"measure it on pictures that it has never seen: {MEASURE}; or add pictures and fit again",
        )
    step = f"train longer: {MORE_TIME}; if that does not help, add pictures, first of the worst class"
    return Verdict("weak", "Better than guessing, not yet useful.", _reason(evidence), step)


def _ends(score: Score) -> tuple[float, float]:
    """The ends of the interval; the value where none is known."""
    low, high = (score.value if end is None else end for end in (score.low, score.high))
    return low, high


def _beats_guessing(evidence: Evidence) -> bool:
    return _ends(evidence.accuracy)[0] > evidence.guessing


def _reaches(evidence: Evidence, accuracy: float, errors: float) -> bool:
    """Whether this accuracy is reached, by the lower end of the interval too, with this share of guessing's errors."""
    enough = _ends(evidence.accuracy)[0] >= accuracy - MAX_LOWER_END_GAP
    return enough and _is_enough(evidence.accuracy.value, evidence, accuracy, errors)


def _may_be_useful(evidence: Evidence) -> bool:
    """Whether it would be useful at the upper end of the interval."""
    return _is_enough(_ends(evidence.accuracy)[1], evidence, USEFUL_ACCURACY, USEFUL_ERRORS)


def _would_be_reliable(evidence: Evidence) -> bool:
    """Whether the accuracy alone suffices, however wide its interval is."""
    return _is_enough(evidence.accuracy.value, evidence, RELIABLE_ACCURACY, RELIABLE_ERRORS)


def _is_enough(value: float, evidence: Evidence, accuracy: float, errors: float) -> bool:
    return value >= accuracy and 1 - value <= errors * (1 - evidence.guessing)


def _shortcomings(evidence: Evidence) -> list[str]:
    """Why a useful recognizer is not reliable, each as a clause; empty if it is."""
    clauses, accuracy = [], evidence.accuracy
    if not _reaches(evidence, RELIABLE_ACCURACY, RELIABLE_ERRORS):
        if _would_be_reliable(evidence):
            low, _ = _ends(accuracy)
            clauses.append(f"{accuracy.n} pictures are too few to tell: of others, only {low:.0%} may be right")
        else:
            clauses.append(f"it is wrong in {1 - accuracy.value:.1%} of the pictures")
    worst = evidence.recalls[evidence.worst_class]
    if worst.high is not None and worst.high < MIN_RECALL:
        clauses.append(f"of {evidence.worst_class} it recognises only {worst.value:.0%} ({worst.n} pictures)")
    if evidence.calibration_error > MAX_CALIBRATION_ERROR:
        clauses.append(f"its confidence is off by {evidence.calibration_error:.0%} on average")
    return clauses


def _reason(evidence: Evidence) -> str:
    """The figures, and that they are rough where the pictures are few."""
    n = evidence.accuracy.n
    few = f" {n} pictures are few, so the true accuracy may be far from this." if n < FEW_PICTURES else ""
    return _figures(evidence) + few


def _figures(evidence: Evidence) -> str:
    accuracy, worst = evidence.accuracy, evidence.worst_class
    interval = "" if accuracy.low is None or accuracy.high is None else f" ({accuracy.low:.1%} to {accuracy.high:.1%})"
    sentences = [
        f"{accuracy.value:.1%} of {accuracy.n} held-out pictures are right{interval}; "
        f"always naming the commonest class would give {evidence.guessing:.1%}."
    ]
    if len(evidence.recalls) > 1:
        recall = evidence.recalls[worst]
        sentences.append(f"The worst class is {worst}, with {recall.value:.0%} of {recall.n}.")
    return " ".join(sentences)
