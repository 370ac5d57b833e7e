"""Labels in the names of files: cat.0.jpg and dog.0.jpg, Abyssinian_12.jpg; not IMG_0001.jpg."""

import posixpath
import re
from collections import Counter
from collections.abc import Sequence

from diptych.data.labels import labels_from_names
from diptych.data.messages import printable
from diptych.data.sources.labelling.label_choice import Reading

#: First words of names that cameras, scanners and programs give, whatever the picture shows.
_GENERIC = re.compile(
    "img|images?|imag|imgp|pict|pictures?|pics?|photos?|foto|bild|dscn?|dscf|dsci|cimg|pxl|mvimg|vid|mov|dji|gopr|gp|gx|"
    "sam|kic|hpim|scan|scanned|screenshot|screen|capture|frames?|samples?|whatsapp|signal|telegram|received|snapshot|"
    "file|untitled|unnamed|unknown|download|page|fig|figure|train|training|test|val|valid|validation|crop|tile|patch|"
    "copy|new|item"
)
_NUMBERED = re.compile(r"(?P<name>.*?)[\W_]*\d+\)?")
_COPY = re.compile(r"(?<=\d)[ _-]*(?:\(\d+\)|copy)", re.IGNORECASE)  # what a system adds to a copy: cat.12 (1).jpg
_WORDS = re.compile(r"[^\W\d_]{2,}(?:[ ._&'-]+[^\W\d_]+)*")
_MIN_CLASSES, _MIN_OF_A_CLASS, _MIN_PER_CLASS = 2, 2, 3  # the last on average: names of their own are no labels
_MAX_ODD_SHARE = 0.01  # of the names: they are unlabelled


def read_file_names(pictures: Sequence[str], splits: Sequence[str] | None, chosen: bool = False) -> Reading | None:
    """Read the label before the number that a file's name ends in.

    Pictures of a part in which no name has words (test/1.jpg) are unlabelled.

    Parameters
    ----------
    splits
        The part of each picture, if there are parts.
    chosen
        Whether a person asked for it; else ``None`` is returned unless nearly every name of a part has the form, no
        name is a camera's, and there are several pictures of each of at least two labels.
    """
    names = [_label(name) for name in pictures]
    if not chosen:
        names = _convincing(names, splits or [""] * len(names))
    if not any(names):
        return None
    labels, classes = labels_from_names([name and printable(name) for name in names])
    return Reading("names", "the file names", labels, classes)


def _label(name: str) -> str | None:
    """The words before the number at the end: "cat" of "train/cat.12.jpg"; ``None`` if there are none."""
    stem = posixpath.splitext(posixpath.basename(name))[0]
    copy = list(_COPY.finditer(stem))
    match = _NUMBERED.fullmatch(stem[: copy[-1].start()] if copy and copy[-1].end() == len(stem) else stem)
    return (match["name"].strip() or None) if match else None


def _convincing(names: Sequence[str | None], splits: Sequence[str]) -> list[str | None]:
    """The names that are labels, ``None`` for the others; all ``None`` unless labels are what they are for certain."""
    none: list[str | None] = [None] * len(names)
    counts = Counter(name for name in names if name and _WORDS.fullmatch(name))
    labels = {name for name, count in counts.items() if count >= _MIN_OF_A_CLASS}
    parts = {split for name, split in zip(names, splits, strict=True) if name in labels}
    relevant = [name for name, split in zip(names, splits, strict=True) if split in parts]
    odd = sum(name not in labels for name in relevant)
    if odd > _MAX_ODD_SHARE * len(relevant) or any(
        _GENERIC.fullmatch(re.split(r"[\W_]", n.lower())[0]) for n in counts
    ):
        return none
    if len(labels) < _MIN_CLASSES or len(relevant) < _MIN_PER_CLASS * len(labels):
        return none
    return [name if name in labels else None for name in names]
