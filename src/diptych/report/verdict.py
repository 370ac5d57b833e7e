"""The verdict: what a report comes to, in one sentence that a person reads first."""

import re
import shlex
from dataclasses import asdict, dataclass, replace

MODEL, DATA = "MODEL", "DATA"  # stand for the model's folder and its training pictures in a next step


@dataclass(frozen=True)
class Verdict:
    """What a report comes to.

    Attributes
    ----------
    word
        Stable, for programs: "reliable".
    sentence
        For people, one sentence with a full stop.
    reason
        The figures that it rests on, as sentences.
    next_step
        What to do next, with the command to type; ``MODEL`` and ``DATA`` in it stand for names that are not known.
    """

    word: str
    sentence: str
    reason: str
    next_step: str

    def __str__(self) -> str:
        return f"{self.sentence} {self.reason} Next: {self.next_step}"

    def with_names(self, *, model: str = MODEL, data: str = DATA) -> "Verdict":
        """The same with the names of the model's folder and of its training pictures in the next step."""
        names = {MODEL: shlex.quote(model), DATA: shlex.quote(data)}
        step = re.sub(rf"\b({MODEL}|{DATA})\b", lambda match: names[match[0]], self.next_step)
        return replace(self, next_step=step)

    def json(self) -> dict[str, str]:
        """``{"word", "sentence", "reason", "next_step"}``."""
        return asdict(self)
