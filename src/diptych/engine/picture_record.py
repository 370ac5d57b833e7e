"""Which pictures a run was begun on, kept in its folder: where the same command finds others, it says which."""

import json
import posixpath
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from diptych import artefact, files, json_reader
from diptych.data.images import Images
from diptych.data.labels import label_names
from diptych.data.messages import counted, join_names
from diptych.engine import checkpoint
from diptych.engine.distributed import is_leader
from diptych.errors import DataError, UsageError

FILE = ".pictures.json"  # hidden, so that a folder with nothing else still counts as empty
DATA = ("data", "validation")  # the settings that are fingerprints of pictures
MAX_PICTURES = 100_000  # of a larger set no record is kept: it would take more memory than the pictures in training
Record = dict[str, dict[str, list[str]]]  # "training" or "validation" -> name -> digest of its content, labels, part


def check(folder: Path | None, settings: Mapping[str, Any], images: Images, validate: Images | None) -> None:
    """Refuse other pictures than those that the run in ``folder`` was begun on.

    Raises
    ------
    UsageError
        Says how many pictures are new, gone, changed, or have other labels, and names some.
    """
    if folder is None:
        return
    stored = checkpoint.stored_settings(folder) or {}
    differing = {name for name in stored if name in settings and stored[name] != settings[name]}
    if not differing or not differing <= set(DATA):
        return  # what differs besides is told by whoever compares all settings
    before = _read(folder)
    changes = _changes(before, _record(images, validate) if before else {})
    raise UsageError(
        f"{folder} already holds a run on other pictures: {changes}. Choose another folder for a model of the "
        "pictures as they are now, or delete that one."
    )


def write(folder: Path | None, images: Images, validate: Images | None) -> None:
    """Record the pictures of a run that is about to begin in an empty folder."""
    new = folder is not None and not artefact.exists(folder) and not files.is_occupied(folder)
    count = len(images) + (0 if validate is None else len(validate))
    if folder is not None and new and is_leader() and count <= MAX_PICTURES:
        files.write_text(folder / FILE, json.dumps(_record(images, validate), ensure_ascii=False))


def _record(images: Images, validate: Images | None) -> Record:
    sets = {"training": images, **({} if validate is None else {"validation": validate})}
    return {name: _rows(pictures) for name, pictures in sets.items()}


def _rows(images: Images) -> dict[str, list[str]]:
    """Each picture by its name inside the folder that all share, so that it is the same from anywhere."""
    paths = images.paths.tolist()
    try:
        shared = posixpath.commonpath([posixpath.dirname(path) for path in paths])
    except ValueError:  # absolute paths and others
        shared = ""
    names = [path[len(shared) :].lstrip("/") for path in paths]
    contents = [identity.hex() for identity in images.store.identities()]
    labels = ["|".join(labels) for labels in label_names(images.labels, images.classes)]
    splits = images.groups["split"].tolist() if "split" in images.groups else [""] * len(images)
    return {name: list(row) for name, *row in zip(names, contents, labels, splits, strict=True)}


def _read(folder: Path) -> Record:
    try:
        return json_reader.read(folder / FILE, Record)
    except (OSError, DataError):
        return {}


def _changes(before: Record, now: Record) -> str:
    """For a sentence: "2 pictures are new (cat/8.png, dog/9.png), 1 picture has another content (cat/1.png)"."""
    if not before:
        return (
            "which ones is not known, since the record of them is gone, an earlier version began the run, or there are "
            "too many"
        )
    changes = []
    for part in dict.fromkeys([*before, *now]):
        old, new = before.get(part, {}), now.get(part, {})
        both = [name for name in new if name in old]
        kinds = {
            ("is new", "are new"): [name for name in new if name not in old],
            ("is gone", "are gone"): [name for name in old if name not in new],
            ("has another content", "have other contents"): [name for name in both if new[name][0] != old[name][0]],
            ("has other labels", "have other labels"): [name for name in both if new[name][1:] != old[name][1:]],
        }
        what = "picture" if part == "training" else "validation picture"
        changes += [
            f"{counted(len(names), f'{what} {one}', f'{what}s {many}')} ({join_names(names)})"
            for (one, many), names in kinds.items()
            if names
        ]
    return ", ".join(changes) or "they come in another order"
