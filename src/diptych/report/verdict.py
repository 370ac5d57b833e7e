"""The verdict: what a report comes to, in one sentence that a person reads first."""

import re
import shlex
from dataclasses import asdict, dataclass, replace


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
        What to do next, with the command to type; ``MODEL``, ``DATA`` and other capitals stand for names of files.
    """

    word: str
    sentence: str
    reason: str
    next_step: str

    def __str__(self) -> str:
        return f"{self.sentence} {self.reason} Next: {self.next_step}"

    def with_names(self, **names: str) -> "Verdict":
        """The same with names in the next step: that of ``model`` for MODEL, that of ``data`` for DATA, and so on."""
        quoted = {word.upper(): shlex.quote(name) for word, name in names.items()}
        step = re.sub(r"[A-Z-]+", lambda match: quoted.get(match[0], match[0]), self.next_step)
        return replace(self, next_step=step)

    def answer(self) -> dict[str, str]:
        """What JSON for programs says of it: ``{"verdict": the word, "verdict_text": all of it}``."""
        return {"verdict": self.word, "verdict_text": str(self)}

    def json(self) -> dict[str, str]:
        """``{"word", "sentence", "reason", "next_step"}``, as ``model.json`` keeps it."""
        return asdict(self)
