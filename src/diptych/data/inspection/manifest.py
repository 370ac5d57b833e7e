r"""The manifest: what a person decides about each picture, as a table to be edited in a spreadsheet.

One row for each picture; CSV, or JSON lines where the file's name ends in .jsonl. Nothing is ever deleted or moved: a
manifest only says which pictures a training run uses.

========  ==========================================================================================
path      which picture; the only column that is required
label     its class; several joined by "|"; empty: none
split     train, validation or test; empty: train where any other row has one
action    keep, exclude, or review (kept, but to be checked by a person); empty: keep
reason    for people; not read
========  ==========================================================================================

A "|" inside a name, a space around it, a backslash and what a spreadsheet would compute are written by their number, as
in JSON: "a\u007cb", "\u003d1+1".
"""

import csv
import io
import json
import logging
import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diptych.data.combine import with_groups, with_labels
from diptych.data.inspection.inspect import Inspection
from diptych.data.labels import composed, label_names, labels_from_name_lists, labels_from_names
from diptych.data.messages import counted, join_names
from diptych.data.picture_set import PictureSet, PictureSetT
from diptych.data.sources.labelling.layout import SPLIT_NAMES
from diptych.data.sources.labelling.tables import read_table
from diptych.data.splits import split
from diptych.errors import DataError
from diptych.escaping import for_spreadsheet
from diptych.files import did_you_mean, write_text
from diptych.opening import read_file

log = logging.getLogger("diptych")
COLUMNS = ("path", "label", "split", "action", "reason")
ACTIONS = ("keep", "exclude", "review")
#: The shares of the kept pictures that are proposed for training and for validation.
SPLIT_SHARES = {"train": 0.85, "validation": 0.15}
_LABEL_SEPARATOR = "|"
_NEEDED = f'A manifest needs a first line with the columns {", ".join(COLUMNS)}; "path" is required.'

Proposal = tuple[str, Sequence[str], str, str, str]  # path, labels, split, action, reason


@dataclass(frozen=True)
class Row:
    """What is decided about one picture; ``None`` where the file has no such column."""

    line: int
    path: str
    labels: tuple[str, ...] | None
    split: str | None
    action: str


def write(inspection: Inspection[Any], path: str | Path, seed: int = 0) -> Path:
    """Write a proposal: which pictures to exclude, which to review, which part of the split each is in.

    Copies beyond the first, tiny pictures and those that cannot be read are proposed for exclusion; every other
    issue is for review. Splits are the set's own where it has some. Returns the path.
    """
    target = Path(path)
    rows = _propose(inspection, seed)
    if target.suffix.lower() == ".jsonl":
        records = (dict(zip(COLUMNS, _cells(row), strict=True)) for row in rows)
        text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    else:
        text = csv_text(rows)
    write_text(target, text)
    return target


def csv_text(rows: Iterable[Proposal]) -> str:
    """The text of a manifest as CSV: path, labels, split, action and reason of each picture."""
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerows([COLUMNS, *map(_cells, rows)])
    text = out.getvalue()
    return text if text.isascii() else "\ufeff" + text  # without this mark a spreadsheet garbles the names


def read(path: str | Path) -> list[Row]:
    """Read a manifest.

    Raises
    ------
    DataError
        A value in it is not valid; the message names the line.
    """
    where = str(path)
    try:
        table = read_table(read_file(path), where)
    except FileNotFoundError:
        raise DataError(f"{where} is not there.{did_you_mean(path)} diptych inspect --manifest writes one.") from None
    except OSError as error:
        raise DataError(f"{where} cannot be read: {error.strerror}.") from None
    records = [(row, {name.lower(): cell for name, cell in row.cells.items()}) for row in table]
    if not any("path" in record for _, record in records):
        raise DataError(f"{where} names no picture. {_NEEDED}")
    rows = [_row(record, row.where, row.line) for row, record in records]
    first: dict[str, int] = {}
    for row in rows:
        if first.setdefault(row.path, row.line) != row.line:
            raise DataError(f"{where}, line {row.line}: {row.path} is named twice, first on line {first[row.path]}.")
    return rows


def apply(images: PictureSetT, path: str | Path) -> PictureSetT:
    """The pictures that a manifest keeps, with its labels and splits, in their own order.

    Pictures that it does not name are left out with a warning; rows whose picture is not there are warned of.

    Raises
    ------
    DataError
        A value in it is not valid, or it names none of these pictures.
    """
    rows = read(path)
    picture_of = _match([row.path for row in rows], images.paths.tolist())
    if not picture_of:
        raise DataError(
            f"{path} names none of these pictures: its first is {rows[0].path}, the first of the set is "
            f"{images.paths[0] if len(images) else 'nothing'}. Give the manifest of this set."
        )
    _log_differences(images, rows, picture_of, str(path))
    row_of = {picture: rows[i] for i, picture in picture_of.items() if rows[i].action != "exclude"}
    if not row_of:
        raise DataError(f"{path} excludes every picture. Set the action of some to keep.")
    pictures = np.array(sorted(row_of), np.int64)
    ordered = [row_of[picture] for picture in pictures.tolist()]
    return _set_splits(_set_labels(images[pictures], ordered, str(path)), ordered)


def _propose(inspection: Inspection[Any], seed: int) -> list[Proposal]:
    """A row for each picture."""
    images = inspection.images
    actions = np.full(len(images), "keep", dtype="<U7")
    reasons: list[list[str]] = [[] for _ in range(len(images))]
    for issue in inspection.issues:
        if actions[issue.row] != "exclude":
            actions[issue.row] = issue.action
        reasons[issue.row].append(f"{issue.kind}: {issue.reason}")
    splits = _propose_splits(images, actions != "exclude", seed)
    labels = label_names(images.labels, images.classes)
    joined_reasons = ["; ".join(sentences) for sentences in reasons]
    return list(zip(images.paths.tolist(), labels, splits, actions.tolist(), joined_reasons, strict=True))


def _cells(row: Proposal) -> tuple[str, ...]:
    path, labels, *others = row
    joined = _LABEL_SEPARATOR.join(map(_escaped, labels))
    return _escaped(path, inside=r"\\"), joined, *map(for_spreadsheet, others)


def _propose_splits(images: PictureSet, included: NDArray[np.bool_], seed: int) -> list[str]:
    """The set's own parts, or a proposal for the included pictures (of the first folder, where there are several)."""
    if "split" in images.groups:
        return [str(name) for name in images.groups["split"]]
    folder = images.groups.get("folder")
    rows = np.flatnonzero(included if folder is None else included & (folder == folder[0]))
    out = np.full(len(images), "", dtype="<U10")
    parts = split(images[rows], list(SPLIT_SHARES.values()), seed)
    for name, part in zip(SPLIT_SHARES, parts, strict=True):
        out[rows[part]] = name
    return [str(name) for name in out]


def _row(record: dict[str, Any], where: str, line: int) -> Row:
    cells = {name: _text(record[name]) for name in COLUMNS if record.get(name) is not None}
    path, action = cells.get("path", ""), cells.get("action", "").lower() or "keep"
    part = cells.get("split", "").lower() if "split" in record else None
    if not path:
        raise DataError(f"{where}: the path is missing.")
    if action not in ACTIONS:
        raise DataError(f'{where}: the action "{action}" is not one of {", ".join(ACTIONS)}.')
    if part and part not in SPLIT_NAMES:
        raise DataError(f'{where}: the split "{part}" is not one of train, validation, test.')
    labels = None
    if "label" in record:
        labels = tuple(
            _unescaped(name.strip()) for name in cells.get("label", "").split(_LABEL_SEPARATOR) if name.strip()
        )
    return Row(line, _unescaped(path), labels, SPLIT_NAMES[part] if part else part, action)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return _LABEL_SEPARATOR.join(_escaped(str(item)) for item in value)
    return str(value).strip()


def _escaped(name: str, inside: str = r"\\|") -> str:
    """A name as it survives a table whose cells are stripped, split at each "|", and computed by a spreadsheet."""
    text = re.sub(rf"[{inside}]|^\s+|\s+$", lambda match: "".join(f"\\u{ord(sign):04x}" for sign in match[0]), name)
    return text if for_spreadsheet(text) == text else f"\\u{ord(text[0]):04x}{text[1:]}"


def _unescaped(name: str) -> str:
    return re.sub(r"\\u([0-9a-f]{4})", lambda match: chr(int(match[1], 16)), name)


def _match(names: Sequence[str], paths: Sequence[str]) -> dict[int, int]:
    """Which row of a manifest names which picture: by the path as it is, in full, or inside the common folder.

    Of these ways the first by which most rows have a picture; but for the first, é may be in either Unicode form.
    """
    best: dict[int, int] = {}
    written, present = ([composed(path) for path in paths_of] for paths_of in (names, paths))
    ways: tuple[tuple[Iterable[str], Iterable[str]], ...] = (
        (names, paths),
        (map(os.path.abspath, written), map(os.path.abspath, present)),
        (map(_without_common_folder(written), written), map(_without_common_folder(present), present)),
    )
    for keys_of_names, keys_of_paths in ways:
        picture_of = {key: i for i, key in enumerate(keys_of_paths)}
        matches = {i: picture_of[key] for i, key in enumerate(keys_of_names) if key in picture_of}
        best = max(best, matches, key=len)
        if len(best) == len(names):
            break
    return best


def _without_common_folder(paths: Sequence[str]) -> Callable[[str], str]:
    """A function that strips the folder that all paths share."""
    folders = [path.split("/")[:-1] for path in paths]
    first, last = min(folders), max(folders)  # what these two share, all do
    shared = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))

    def strip(path: str) -> str:
        return "/".join(path.split("/")[shared:])

    return strip


def _log_differences(images: PictureSet, rows: Sequence[Row], picture_of: dict[int, int], where: str) -> None:
    """Warn of pictures that only the manifest names or only the set has."""
    absent = [row.path for i, row in enumerate(rows) if i not in picture_of]
    if absent:
        pictures = counted(len(absent), "picture that is", "pictures that are")
        log.warning("%s names %s not there: %s.", where, pictures, join_names(absent))
    unnamed = np.setdiff1d(np.arange(len(images)), list(picture_of.values()))
    if len(unnamed):
        names = join_names([str(path) for path in images.paths[unnamed]])
        pictures = counted(len(unnamed), "picture, which is", "pictures, which are")
        log.warning("%s does not name %s left out: %s.", where, pictures, names)
    excluded = sum(rows[i].action == "exclude" for i in picture_of)
    if excluded:
        log.info("%s excludes %s.", where, counted(excluded, "picture"))


def _set_labels(images: PictureSetT, rows: Sequence[Row], where: str) -> PictureSetT:
    if any(row.labels is None for row in rows):
        return images
    names = [row.labels or () for row in rows]
    if images.multi_label or any(len(labels) > 1 for labels in names):
        labels, classes = labels_from_name_lists(names, images.classes)
    else:
        labels, classes = labels_from_names([labels[0] if labels else None for labels in names], images.classes)
    new = classes[len(images.classes) :]
    if new:
        log.warning("%s has labels that the pictures did not have before: %s.", where, join_names(new))
    return with_labels(images, labels, classes)


def _set_splits(images: PictureSetT, rows: Sequence[Row]) -> PictureSetT:
    splits = [row.split for row in rows]
    if not any(splits):
        return images
    return with_groups(images, split=np.array([name or "train" for name in splits]))
