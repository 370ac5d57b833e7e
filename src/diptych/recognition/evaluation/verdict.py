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
    """One of six verdicts: "not_held_out", "too_few", "guessing", "weak", "useful" or "reliable".

    It is better than guessing where the lower end of the accuracy's interval exceeds the commonest class's share;
    useful and reliable also ask for an accuracy, for few errors compared with guessing, and the latter for every class
    to be recognised and for honest confidence.
    """
    accuracy, reason = evidence.accuracy, _reason(evidence)
    more_time = "diptych fit recognizer DATA -o MODEL --more 5"
    if evidence.trained_on:
        return Verdict(
            "not_held_out",
            "These pictures are no test: some were trained on.",
            f"{evidence.trained_on} or more of the {accuracy.n} pictures are training pictures, on which a recognizer "
            "looks better than it is.",
            "evaluate on pictures that it has never seen: diptych evaluate MODEL OTHER-PICTURES",
        )
    if not _beats_guessing(evidence):
        if accuracy.n < FEW_PICTURES and accuracy.value > evidence.guessing:
            sentence = "Too few held-out pictures to tell whether it is better than guessing."
            step = "add pictures, or evaluate on others: diptych evaluate MODEL OTHER-PICTURES"
            return Verdict("too_few", sentence, reason, step)
        step = f"check pictures and labels with diptych inspect DATA, then train longer: {more_time}"
        return Verdict("guessing", "No better than guessing.", reason, step)
    if not _reaches(evidence, USEFUL_ACCURACY, USEFUL_ERRORS):
        step = f"train longer: {more_time}; if that does not help, add pictures, first of the worst class"
        return Verdict("weak", "Better than guessing, not yet useful.", reason, step)
    shortcomings = _shortcomings(evidence)
    if shortcomings:
        return Verdict(
            "useful",
            "Good enough to sort pictures; check the doubtful ones.",
            f"{reason} Not reliable, since {shortcomings[0]}.",
            f"sort, and check those of low confidence: diptych predict MODEL PICTURES; or train longer: {more_time}",
        )
    return Verdict("reliable", "Reliable on pictures like these.", reason, "use it: diptych predict MODEL PICTURES")


def _lower_end(score: Score) -> float:
    return score.value if score.low is None else score.low


def _beats_guessing(evidence: Evidence) -> bool:
    return _lower_end(evidence.accuracy) > evidence.guessing


def _reaches(evidence: Evidence, accuracy: float, errors: float) -> bool:
    """Whether this accuracy is reached, by the lower end of the interval too, with this share of guessing's errors."""
    score = evidence.accuracy
    enough = score.value >= accuracy and _lower_end(score) >= accuracy - MAX_LOWER_END_GAP
    return enough and 1 - score.value <= errors * (1 - evidence.guessing)


def _shortcomings(evidence: Evidence) -> list[str]:
    """Why a useful recognizer is not reliable, each as a clause; empty if it is."""
    clauses = []
    if not _reaches(evidence, RELIABLE_ACCURACY, RELIABLE_ERRORS):
        few = f", with room for chance on {evidence.accuracy.n} pictures" if evidence.accuracy.value >= 0.95 else ""
        clauses.append(f"it is wrong in {1 - evidence.accuracy.value:.1%} of the pictures{few}")
    worst = evidence.recalls[evidence.worst_class]
    if worst.high is not None and worst.high < MIN_RECALL:
        clauses.append(f"of {evidence.worst_class} it recognises only {worst.value:.0%} ({worst.n} pictures)")
    if evidence.calibration_error > MAX_CALIBRATION_ERROR:
        clauses.append(f"its confidence is off by {evidence.calibration_error:.0%} on average")
    return clauses


def _reason(evidence: Evidence) -> str:
    accuracy, worst = evidence.accuracy, evidence.worst_class
    interval = "" if accuracy.low is None or accuracy.high is None else f" ({accuracy.low:.1%} to {accuracy.high:.1%})"
    sentences = [
        f"{accuracy.value:.1%} of {accuracy.n} held-out pictures are right{interval}; "
        f"always naming the commonest class would give {evidence.guessing:.1%}."
    ]
    if len(evidence.recalls) > 1:
        recall = evidence.recalls[worst]
        sentences.append(f"The worst class is {worst}, with {recall.value:.0%} of {recall.n}.")
    if accuracy.n < FEW_PICTURES:
        sentences.append(f"{accuracy.n} pictures are few, so the true accuracy may be far from this.")
    return " ".join(sentences)
