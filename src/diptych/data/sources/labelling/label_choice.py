"""Where labels come from: the word by which a person chooses, and the choice among the readings of a folder."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diptych.data.labels import Labels
from diptych.data.messages import counted, join_names
from diptych.data.sources.labelling.tables import LABEL_FILE_SUFFIXES, SPREADSHEET, SPREADSHEET_SUFFIXES
from diptych.errors import DataError, UsageError

log = logging.getLogger("diptych")
WORDS = ("auto", "folders", "names", "none")
_MIN_CLASSES = 2
_PARTS = ("train", "validation", "test")
_MAX_NAMES = 6  # classes that a message counts one by one


@dataclass(frozen=True)
class LabelChoice:
    """What ``labels=`` and ``--labels`` say.

    Attributes
    ----------
    word
        "auto", "folders", "names", "none", or "column": a table or a column, named below.
    table
        The file name of a table; "": whichever there is.
    column
        The name of a column; "": whichever looks like labels.
    """

    word: str = "auto"
    table: str = ""
    column: str = ""

    @classmethod
    def of(cls, text: str | None) -> "LabelChoice":
        """Read "folders", "names", "none", "COLUMN", "TABLE.csv" or "TABLE.csv:COLUMN"; ``None`` is "auto"."""
        if not text or text in WORDS:
            return cls(text or "auto")
        if text.lower().endswith(SPREADSHEET_SUFFIXES):
            raise UsageError(f"{text} is {SPREADSHEET}.")
        table, _, column = text.rpartition(":")
        if table.lower().endswith(LABEL_FILE_SUFFIXES):
            return cls("column", table, column)
        return cls("column", text) if text.lower().endswith(LABEL_FILE_SUFFIXES) else cls("column", "", text)

    @property
    def unlabelled(self) -> bool:
        """Whether labels are to be left out."""
        return self.word == "none"


AUTO = LabelChoice()


@dataclass(frozen=True)
class Reading:
    """One way to read the labels of a folder.

    Attributes
    ----------
    option
        The word that chooses it: "folders", "names", "breeds.csv:breed".
    description
        For a sentence: "the file names".
    labels, classes
        Of each picture.
    groups
        Further columns (N,).
    """

    option: str
    description: str
    labels: Labels
    classes: tuple[str, ...]
    groups: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    @property
    def counts(self) -> str:
        """For a sentence: "cat 646, dog 795", or "120 classes" where there are many."""
        return count_classes(self.labels, self.classes)


def choose(readings: Sequence[Reading], where: str) -> Reading | None:
    """The only reading that tells classes apart, or the first of several that agree; without any, ``None``.

    Raises
    ------
    DataError
        Two of them differ; the message names each with its counts and the option that chooses it.
    """
    usable = [reading for reading in readings if len(reading.classes) >= _MIN_CLASSES]
    different = [reading for reading in usable[1:] if not _agree(usable[0], reading)]
    if different:
        ways = " or ".join(f"from {r.description} ({r.counts})" for r in (usable[0], *different))
        options = " or ".join(f"--labels {r.option}" for r in (usable[0], *different))
        raise DataError(
            f"{where}: labels can be read {ways}. Choose with {options}, or --labels none for no labels "
            f'(in Python: labels="{usable[0].option}").'
        )
    return usable[0] if usable else None


def count_classes(labels: Labels, classes: Sequence[str]) -> str:
    """For a sentence: "cat 646, dog 795", or "120 classes" where there are many."""
    totals = labels.sum(0) if labels.ndim == 2 else np.bincount(labels[labels >= 0], minlength=len(classes))
    if len(classes) > _MAX_NAMES:
        return f"{len(classes)} classes"
    return ", ".join(f"{name} {total:,}" for name, total in zip(classes, totals.tolist(), strict=True)) or "none"


def describe_parts(splits: NDArray[Any] | None, labels: Labels) -> str:
    """For a sentence: "train 1,200 pictures of 2 classes, test 300 without labels"; "40 pictures" of one part."""
    if splits is None:
        return _describe_part(labels)
    names = sorted(set(splits.tolist()), key=lambda name: (_PARTS.index(name) if name in _PARTS else len(_PARTS), name))
    return join_names([f"{name} {_describe_part(labels[splits == name])}" for name in names], _MAX_NAMES)


def _describe_part(labels: Labels) -> str:
    used = np.flatnonzero(labels.any(0)) if labels.ndim == 2 else np.unique(labels[labels >= 0])
    missing = int((~labels.any(1) if labels.ndim == 2 else labels < 0).sum())
    text = counted(len(labels), "picture")
    if not len(used):
        return f"{text} without labels"
    text += f" of {counted(len(used), 'class', 'classes')}"
    return f"{text} ({missing:,} without a label)" if missing else text


def _agree(a: Reading, b: Reading) -> bool:
    """Whether two readings group the pictures that both label alike, under whatever names."""
    if a.labels.ndim == 2 or b.labels.ndim == 2:
        return False
    both = (a.labels >= 0) & (b.labels >= 0)
    pairs = set(zip(a.labels[both].tolist(), b.labels[both].tolist(), strict=True))
    return bool(pairs) and len(pairs) == len({x for x, _ in pairs}) == len({y for _, y in pairs})


def log_reading(
    where: str, splits: NDArray[Any] | None, labels: Labels, classes: Sequence[str], description: str
) -> None:
    """Log in one line how a set was understood: its parts, its classes, and where the labels are from."""
    parts = describe_parts(splits, labels)
    if labels.ndim == 2:
        parts += f", up to {labels.sum(1).max(initial=0)} labels each"
    if classes:
        log.info("%s: %s. Labels from %s: %s.", where, parts, description, count_classes(labels, classes))
    else:
        log.info("%s: %s.", where, parts)
