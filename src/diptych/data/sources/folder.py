"""Folders of pictures: class folders, loose pictures, train/validation/test folders, lists of files."""

import logging
import posixpath
from collections.abc import Sequence

import numpy as np

from diptych.data.decode import PICTURE_SUFFIXES, has_picture_signature
from diptych.data.labels import labels_from_names, sort_class_names
from diptych.data.messages import join_names, printable
from diptych.data.sources.base import Metadata, Source, unlabelled
from diptych.data.sources.files import Files, Walk
from diptych.data.sources.own_outputs import own_outputs
from diptych.errors import DataError, PictureError

log = logging.getLogger("diptych")
#: Common names of the parts of a split, and what ``groups["split"]`` calls them.
SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}


class FileSource(Source):
    """Pictures in a file each."""

    def __init__(self, files: Files, names: Sequence[str], metadata: Metadata) -> None:
        self.files, self.names = files, names
        super().__init__(metadata)

    def read(self, row: int) -> bytes:
        """See :class:`Source`."""
        return self.files.read(self.names[row])

    def identity(self, row: int) -> bytes:
        """See :class:`Source`."""
        try:
            size = self.files.size(self.names[row])
        except (OSError, PictureError):
            size = -1
        return f"{self.names[row]}\0{size}".encode("utf-8", "surrogateescape")


def open_folder(files: Files, walk: Walk) -> Source:
    """Open a folder by what a walk found in it; see the module's first line for the layouts."""
    pictures, skipped = pictures_in(files, walk)
    class_of, splits = _layout(pictures)
    if splits is None:
        in_folders = [name for name in pictures if "/" in name] or pictures
        loose = sorted(set(pictures) - set(in_folders))
        skipped += [PictureError("a loose picture beside class folders", files.path(name)) for name in loose]
        pictures = in_folders
    names = [class_of[name] for name in pictures]
    numbers, classes = labels_from_names([name and printable(name) for name in names])
    _log_layout(files, walk, skipped, classes, splits is not None)
    if not pictures:
        raise DataError(_no_picture(files, skipped))
    groups = {} if splits is None else {"split": np.array([splits[name] for name in pictures])}
    paths = [files.path(name) for name in pictures]
    metadata = Metadata(paths=paths, labels=numbers, classes=classes, groups=groups, skipped=tuple(skipped))
    return FileSource(files, pictures, metadata)


def open_files(files: Files, names: Sequence[str]) -> Source:
    """Open pictures named one by one, unlabelled; one that cannot be read keeps its row, with an error."""
    metadata = Metadata(paths=[files.path(name) for name in names], labels=unlabelled(len(names)))
    return FileSource(files, names, metadata)


def pictures_in(files: Files, walk: Walk) -> tuple[list[str], list[PictureError]]:
    """Pictures and other files: by suffix, or by the file's first bytes where the suffix does not decide."""
    pictures, skipped = [], list(walk.skipped)
    passed_over = own_outputs(files, walk)
    if passed_over:
        names = join_names([files.path(name) for name in passed_over])
        log.info("Passed over, since diptych sample or diptych edit wrote them: %s.", names)
    for name in walk.files if not passed_over else sorted(set(walk.files) - set(passed_over)):
        if posixpath.splitext(name)[1].lower() in PICTURE_SUFFIXES or _has_signature(files, name):
            pictures.append(name)
        else:
            skipped.append(PictureError("not a picture", files.path(name)))
    return pictures, skipped


def _has_signature(files: Files, name: str) -> bool:
    try:
        return has_picture_signature(files.read_range(name, 0, 16))
    except (OSError, PictureError):
        return False


def _layout(pictures: Sequence[str]) -> tuple[dict[str, str | None], dict[str, str] | None]:
    """The class of each picture, and its split where the top folders are train, validation, test."""
    parts = {name: name.split("/") for name in pictures}
    tops = {part[0].lower() for part in parts.values() if len(part) > 1}
    loose = any(len(part) == 1 for part in parts.values())
    if tops and not loose and tops <= SPLIT_NAMES.keys():
        labels = {name: part[1] if len(part) > 2 else None for name, part in parts.items()}
        return labels, {name: SPLIT_NAMES[part[0].lower()] for name, part in parts.items()}
    return {name: part[0] if len(part) > 1 else None for name, part in parts.items()}, None


def _log_layout(files: Files, walk: Walk, skipped: Sequence[PictureError], classes: Sequence[str], split: bool) -> None:
    """Report what was left out, empty classes, and a folder that seems to lie one level too deep."""
    where = files.path("")
    if walk.hidden:
        log.info("%s: %d hidden files or folders were ignored.", where, walk.hidden)
    if skipped:
        names = join_names([str(error) for error in skipped])
        log.warning("%s: %d files or folders were left out: %s.", where, len(skipped), names)
    level = 2 if split else 1
    folders = {name.split("/")[level - 1] for name in walk.folders if name.count("/") == level - 1}
    folders -= {name.split("/")[level - 1] for name in own_outputs(files, walk) if name.count("/") >= level}
    empty = sort_class_names({printable(name) for name in folders} - set(classes)) if classes else []
    if empty:
        log.warning("%s: no picture in %s, so these classes are left out.", where, join_names(empty))
    if len(classes) == 1 and not split:
        inner = {name.split("/")[1] for name in walk.files if name.count("/") >= 2}
        if len(inner) > 1:
            log.warning(
                "%s holds one class folder, %s, with folders inside. If those are the classes, open %s instead.",
                where, classes[0], files.path(classes[0]),
            )  # fmt: skip


def _no_picture(files: Files, skipped: Sequence[PictureError]) -> str:
    others = f" ({len(skipped)} other files are there, such as {skipped[0].path})" if skipped else ""
    return (
        f"There is no picture in {files.path('')}{others}. "
        "Give a folder that holds one folder of pictures for each class."
    )
