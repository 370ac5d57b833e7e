"""The verdict: what a report comes to, in one sentence that a person reads first."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

LABELLED = ("DATA", "REAL")  # words of a next step that stand for labelled pictures
_WORD = r"[A-Z-]+"


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

    def with_names(self, *, labels: str | None = None, **names: str) -> "Verdict":
        """The same with names in the next step: that of ``model`` for MODEL, that of ``data`` for DATA, and so on.

        ``labels`` says where the labels of the pictures ``data`` and ``real`` are; commands repeat it as ``--labels``.
        """
        quoted = {word.upper(): shlex.quote(name) for word, name in names.items()}
        option = "" if labels is None else f" --labels {shlex.quote(labels)}"
        commands = (_with_names(command, quoted, option) for command in self.next_step.split("diptych "))
        return replace(self, next_step="diptych ".join(commands))

    def answer(self) -> dict[str, str]:
        """What JSON for programs says of it: ``{"verdict": the word, "verdict_text": all of it}``."""
        return {"verdict": self.word, "verdict_text": str(self)}

    def json(self) -> dict[str, str]:
        """``{"word", "sentence", "reason", "next_step"}``, as ``model.json`` keeps it."""
        return asdict(self)


def _with_names(command: str, names: Mapping[str, str], option: str) -> str:
    """A command with the names that its words in capitals stand for, and ``option`` behind the first labelled one."""
    words = re.findall(_WORD, command)
    labelled = next((word for word in words if word in LABELLED and word in names), None)
    return re.sub(
        _WORD, lambda match: names.get(match[0], match[0]) + (option if match[0] == labelled else ""), command
    )
