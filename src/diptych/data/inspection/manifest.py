"""The manifest: what a person decides about each picture, as a table to be edited in a spreadsheet.

A row a picture; CSV, or JSON lines where the file's name ends in .jsonl. Nothing is ever deleted or moved: a manifest
only says what a training run takes.

========  ==========================================================================================
path      which picture; the only column that must be there
label     its class; several joined by "|"; empty: none
split     train, validation or test; empty: train where any other row has one
action    keep, exclude, or review (kept, but worth a look); empty: keep
reason    for people; not read
========  ==========================================================================================
"""

import csv
import io
import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from diptych.data.combine import with_groups, with_labels
from diptych.data.inspection.inspect import Inspection
from diptych.data.labels import label_names, labels_from_name_lists, labels_from_names
from diptych.data.sources.base import join_names, log
from diptych.data.sources.folder import SPLITS
from diptych.errors import DataError
from diptych.files import write_text

if TYPE_CHECKING:
    from diptych.data.images import Images

COLUMNS = ("path", "label", "split", "action", "reason")
ACTIONS = ("keep", "exclude", "review")
#: Of the pictures that are kept, so many are proposed for training and for validation.
SHARES = {"train": 0.85, "validation": 0.15}
_BETWEEN = "|"


@dataclass(frozen=True)
class Row:
    """What is decided about one picture; ``None`` where the file has no such column."""

    line: int
    path: str
    labels: tuple[str, ...] | None
    split: str | None
    action: str


def write(found: Inspection, path: str | Path, seed: int = 0) -> Path:
    """Write what is proposed: what to leave out, what to review, which part each picture is in.

    Copies beyond the first, tiny pictures and those that cannot be read are proposed for exclusion; all else that
    was found is for review. Splits are the set's own where it has some. Returns the path.
    """
    target = Path(path)
    rows = _proposed(found, seed)
    if target.suffix.lower() == ".jsonl":
        text = "".join(json.dumps(dict(zip(COLUMNS, row, strict=True)), ensure_ascii=False) + "\n" for row in rows)
    else:
        out = io.StringIO(newline="")
        csv.writer(out, lineterminator="\n").writerows([COLUMNS, *rows])
        text = out.getvalue()
        text = text if text.isascii() else "\ufeff" + text  # the mark without which a spreadsheet garbles the names
    write_text(target, text)
    return target


def read(path: str | Path) -> list[Row]:
    """Read a manifest.

    Raises
    ------
    DataError
        Something in it cannot be, told by line.
    """
    where = str(path)
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{where} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise DataError(f'{where} is not UTF-8. Save it as "CSV UTF-8".') from None
    records = list(_records(text, where) if where.lower().endswith(".jsonl") else _table(text, where))
    rows = [_row(record, f"{where}, line {line}", line) for line, record in records]
    if not rows:
        raise DataError(f"{where} names no picture. A manifest has the columns {', '.join(COLUMNS)}.")
    first: dict[str, int] = {}
    for row in rows:
        if first.setdefault(row.path, row.line) != row.line:
            raise DataError(f"{where}, line {row.line}: {row.path} is there twice, first on line {first[row.path]}.")
    return rows


def apply(images: "Images", path: str | Path) -> "Images":
    """The pictures that a manifest keeps, with its labels and splits, in their own order.

    Pictures that it does not name are left out, and told; rows whose picture is not there are told.

    Raises
    ------
    DataError
        Something in it cannot be, or it names none of these pictures.
    """
    rows = read(path)
    place = _matched([row.path for row in rows], images.paths.tolist())
    if not place:
        raise DataError(
            f"{path} names none of these pictures: it says {rows[0].path}, and here is "
            f"{images.paths[0] if len(images) else 'nothing'}. Give the manifest of this set."
        )
    _tell(images, rows, place, str(path))
    of = {at: rows[i] for i, at in place.items() if rows[i].action != "exclude"}
    if not of:
        raise DataError(f"{path} excludes every picture. Let some be kept.")
    kept = np.array(sorted(of), np.int64)
    decided = [of[at] for at in kept.tolist()]
    return _split(_relabelled(images[kept], decided, str(path)), decided)


def _proposed(found: Inspection, seed: int) -> list[tuple[str, ...]]:
    images = found.images
    actions = np.full(len(images), "keep", dtype="<U7")
    reasons: list[list[str]] = [[] for _ in range(len(images))]
    for problem in found.problems:
        if actions[problem.row] != "exclude":
            actions[problem.row] = problem.action
        reasons[problem.row].append(f"{problem.kind}: {problem.reason}")
    splits = _splits(images, actions != "exclude", seed)
    labels = [_BETWEEN.join(names) for names in label_names(images.labels, images.classes)]
    paths = [str(path) for path in images.paths]
    told = ["; ".join(some) for some in reasons]
    return list(zip(paths, labels, splits, actions.tolist(), told, strict=True))


def _splits(images: "Images", kept: Any, seed: int) -> list[str]:
    """The set's own parts, or a proposal for the kept pictures (of the first folder, where there are several)."""
    if "split" in images.groups:
        return [str(name) for name in images.groups["split"]]
    folder = images.groups.get("folder")
    rows = np.flatnonzero(kept if folder is None else kept & (folder == folder[0]))
    out = np.full(len(images), "", dtype="<U10")
    numbered = with_groups(images[rows], row=rows)
    for name, part in zip(SHARES, numbered.split(*SHARES.values(), seed=seed), strict=True):
        out[part.groups["row"]] = name
    return [str(name) for name in out]


def _table(text: str, where: str) -> Iterable[tuple[int, dict[str, Any]]]:
    header = text.split("\n", 1)[0]
    separator = max((",", ";", "\t"), key=header.count)
    table = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        yield from _rows(table, where)
    except csv.Error as error:  # such as a quotation mark that is never closed, and would swallow the rows after it
        raise DataError(f"{where}, line {table.line_num}: {error}. Mend the line.") from None


def _rows(table: "csv.DictReader[str]", where: str) -> Iterable[tuple[int, dict[str, Any]]]:
    names = [name.strip().lower() for name in table.fieldnames or ()]
    if "path" not in names:
        raise DataError(f'{where} needs a first line with the columns {", ".join(COLUMNS)}; "path" must be there.')
    table.fieldnames = names
    for record in table:
        if record.get(None):
            raise DataError(f"{where}, line {table.line_num}: more cells than the first line has columns.")
        if any(record.values()):
            yield table.line_num, record


def _records(text: str, where: str) -> Iterable[tuple[int, dict[str, Any]]]:
    for line, words in enumerate(text.split("\n"), 1):
        if words.strip():
            try:
                record = json.loads(words)
            except ValueError:
                record = None
            if not isinstance(record, dict):
                raise DataError(f"{where}, line {line}: not a JSON object.")
            yield line, record


def _row(record: dict[str, Any], where: str, line: int) -> Row:
    given = {name: _text(record[name]) for name in COLUMNS if record.get(name) is not None}
    path, action = given.get("path", ""), given.get("action", "").lower() or "keep"
    split = given.get("split", "").lower() if "split" in record else None
    if not path:
        raise DataError(f"{where}: the path is missing.")
    if action not in ACTIONS:
        raise DataError(f'{where}: the action "{action}" is none of {", ".join(ACTIONS)}.')
    if split and split not in SPLITS:
        raise DataError(f'{where}: the split "{split}" is none of train, validation, test.')
    labels = None
    if "label" in record:
        labels = tuple(name.strip() for name in given.get("label", "").split(_BETWEEN) if name.strip())
    return Row(line, path, labels, SPLITS[split] if split else split, action)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return _BETWEEN.join(str(item) for item in value)
    return str(value).strip()


def _matched(named: Sequence[str], paths: Sequence[str]) -> dict[int, int]:
    """Which row of a manifest is about which picture: by the path as it is, in full, or inside the common folder."""
    for there, here in ((str, str), (os.path.abspath, os.path.abspath), (_inside(named), _inside(paths))):
        where = {here(path): i for i, path in enumerate(paths)}
        found = {i: where[there(name)] for i, name in enumerate(named) if there(name) in where}
        if found:
            return found
    return {}


def _inside(paths: Sequence[str]) -> Callable[[str], str]:
    """Strip the folder that all paths share."""
    folders = [path.split("/")[:-1] for path in paths]
    first, last = min(folders), max(folders)  # what these two share, all do
    shared = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))

    def inside(path: str) -> str:
        return "/".join(path.split("/")[shared:])

    return inside


def _tell(images: "Images", rows: Sequence[Row], place: dict[int, int], where: str) -> None:
    absent = [row.path for i, row in enumerate(rows) if i not in place]
    if absent:
        log.warning("%s names %d pictures that are not there: %s.", where, len(absent), join_names(absent))
    unnamed = np.setdiff1d(np.arange(len(images)), list(place.values()))
    if len(unnamed):
        names = join_names([str(path) for path in images.paths[unnamed]])
        log.warning("%s does not name %d pictures, which are left out: %s.", where, len(unnamed), names)
    excluded = sum(rows[i].action == "exclude" for i in place)
    if excluded:
        log.info("%s excludes %d pictures.", where, excluded)


def _relabelled(images: "Images", rows: Sequence[Row], where: str) -> "Images":
    if any(row.labels is None for row in rows):
        return images
    names = [row.labels or () for row in rows]
    if images.multi_label or any(len(some) > 1 for some in names):
        labels, classes = labels_from_name_lists(names, images.classes)
    else:
        labels, classes = labels_from_names([some[0] if some else None for some in names], images.classes)
    new = classes[len(images.classes) :]
    if new:
        log.warning("%s has labels that the pictures did not have before: %s.", where, join_names(new))
    return with_labels(images, labels, classes)


def _split(images: "Images", rows: Sequence[Row]) -> "Images":
    splits = [row.split for row in rows]
    if not any(splits):
        return images
    return with_groups(images, split=np.array([split or "train" for split in splits]))
