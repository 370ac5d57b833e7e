"""What an inspection finds: an issue is a kind, a picture, and a reason in words."""

from dataclasses import dataclass
from typing import Literal

Action = Literal["exclude", "review"]

#: Every kind of issue, the most serious first, and what is proposed. Whatever can be a matter of taste, or of which
#: of two labels is correct, is for a person to review.
KINDS: dict[str, Action] = {
    "unreadable": "exclude",
    "copies with different labels": "review",
    "exact copy": "exclude",
    "near-duplicate": "exclude",
    "mirrored copy": "exclude",
    "tiny": "exclude",
    "blank": "review",
    "label error": "review",
    "same scene": "review",
    "low information": "review",
    "dark": "review",
    "bright": "review",
    "blurred": "review",
    "odd shape": "review",
    "odd size": "review",
    "greyscale": "review",
    "outlier": "review",
}
COPIES = ("exact copy", "near-duplicate", "mirrored copy")


@dataclass(frozen=True)
class Issue:
    """One issue with one picture.

    Attributes
    ----------
    row
        The picture's number in the set.
    kind
        One of :data:`KINDS`.
    reason
        In words for a person.
    other
        The number of the picture that it repeats, or that shows the same scene; ``None`` where there is none.
    suggested
        The suggested label, of a label error; else ``None``.
    score
        How serious it is in the terms of its kind, the lower the more so; ``None`` where there are no degrees.
    """

    row: int
    kind: str
    reason: str
    other: int | None = None
    suggested: str | None = None
    score: float | None = None

    @property
    def action(self) -> Action:
        """What is proposed."""
        return KINDS[self.kind]


@dataclass(frozen=True)
class LabelIssue:
    """A label that may be wrong: for review, never to be changed automatically.

    Attributes
    ----------
    row
        The picture's number in the set.
    given, suggested
        The label that it has, and the one that a recognizer not trained on it predicts.
    score
        The probability, in 0..1, that the recognizer predicts for the given label: the lower, the more suspect.
    """

    row: int
    given: str
    suggested: str
    score: float

    def to_issue(self) -> Issue:
        """The same as an :class:`Issue`."""
        reason = f"labelled {self.given or 'nothing'}, looks like {self.suggested or 'nothing'}"
        return Issue(
            self.row, "label error", f"{reason} ({self.given} {self.score:.0%})", None, self.suggested, self.score
        )
