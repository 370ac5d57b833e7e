"""Folders of pictures, labelled by their folders, by the files' names or by a table; lists of files."""

import logging
import posixpath
from collections.abc import Sequence

import numpy as np

from diptych.data.decoding.kinds import DOCUMENT, DOCUMENT_SUFFIXES, has_known_signature, has_picture_suffix
from diptych.data.labels import labels_from_names, sort_class_names
from diptych.data.messages import counted, join_names, printable
from diptych.data.sources.archives import ARCHIVE_BESIDE, UNREAD_ARCHIVE, UNREAD_ARCHIVE_SUFFIXES, ZIP_SUFFIX
from diptych.data.sources.base import Metadata, Source, unlabelled
from diptych.data.sources.files import Files, LocalFiles, Walk
from diptych.data.sources.labelling.annotations import describe_boxes
from diptych.data.sources.labelling.columns import pop_origins
from diptych.data.sources.labelling.file_names import read_file_names
from diptych.data.sources.labelling.label_choice import AUTO, LabelChoice, Reading, choose, log_reading
from diptych.data.sources.labelling.label_tables import LabelTable, describe_columns, read_label_tables, read_labels
from diptych.data.sources.labelling.layout import Layout, are_any_pictures, are_numbered, read_layout
from diptych.data.sources.labelling.tables import LABEL_FILE_SUFFIXES, SPREADSHEET, SPREADSHEET_SUFFIXES
from diptych.data.sources.own_outputs import own_outputs
from diptych.data.sources.recorded_origins import recorded_origins
from diptych.data.sources.tar import SHARD_SUFFIXES
from diptych.errors import DataError, PictureError
from diptych.marks.containers import PNG, shows_all_marks
from diptych.marks.reading import has_credentials

log = logging.getLogger("diptych")
MARKS_HEAD_BYTES, MARKS_TAIL_BYTES = 64 * 1024, 16 * 1024  # of a file, in which marks are looked for


_OTHERS = {
    SPREADSHEET_SUFFIXES: SPREADSHEET,
    UNREAD_ARCHIVE_SUFFIXES: UNREAD_ARCHIVE,
    (ZIP_SUFFIX, *SHARD_SUFFIXES): ARCHIVE_BESIDE,
    DOCUMENT_SUFFIXES: DOCUMENT,
}


class FileSource(Source):
    """Pictures in a file each."""

    def __init__(self, files: Files, names: Sequence[str], metadata: Metadata) -> None:
        self.files, self.names = files, names
        super().__init__(metadata)

    def read(self, row: int) -> bytes:
        """See :class:`Source`."""
        return self.files.read(self.names[row])

    def marks_content(self, row: int) -> bytes:
        """See :class:`Source`: the start of the file, and the end of a PNG; all of it where marks may be anywhere."""
        name, files = self.names[row], self.files
        size = files.size(name) if files.seeks_freely else None  # it refuses what is no file, such as a pipe
        head = files.read_range(name, 0, MARKS_HEAD_BYTES)
        if len(head) < MARKS_HEAD_BYTES:
            return head
        if not shows_all_marks(head) or has_credentials(head):  # these may be larger
            return files.read(name)
        if size is None or not head.startswith(PNG):
            return head
        return head + files.read_range(name, max(MARKS_HEAD_BYTES, size - MARKS_TAIL_BYTES), MARKS_TAIL_BYTES)

    def identity(self, row: int) -> bytes:
        """See :class:`Source`."""
        return f"{self.names[row]}\0{self._content(row)}".encode("utf-8", "surrogateescape")

    def _content(self, row: int) -> str:
        """A digest; behind a URL, where reading all pictures once more takes long, the size."""
        if isinstance(self.files, LocalFiles) and (digest := self.decoded.digest(row)):
            return f"{digest:016x}"
        try:
            return str(self.files.size(self.names[row]))
        except (OSError, PictureError):
            return "-1"


def open_folder(files: Files, walk: Walk, choice: LabelChoice = AUTO) -> Source:
    """Open a folder by what a walk found in it; see the module's first line for the layouts.

    Raises
    ------
    DataError
        There is no picture in it, its labels can be read in several ways, or not as ``choice`` says.
    """
    pictures, skipped = pictures_in(files, walk)
    layout = read_layout(pictures, choice)
    reading = _read(files, walk, layout, choice)
    loose = [PictureError(reason, files.path(name)) for name, reason in layout.left_out.items()]
    splits = layout.splits if layout.splits is None else np.array(layout.splits)
    groups = {**reading.groups, **({} if splits is None else {"split": splits})}
    if layout.pictures:
        log_reading(files.path(""), groups.get("split"), reading.labels, reading.classes, reading.description)
    _log_loose(files, loose, layout)
    _log_left_out(files, walk, skipped, layout, reading)
    skipped += loose
    if not layout.pictures:
        raise DataError(_no_picture(files, skipped))
    metadata = Metadata(
        paths=[files.path(name) for name in layout.pictures],
        labels=reading.labels,
        classes=reading.classes,
        groups=groups,
        origins=recorded_origins(files, layout.pictures, pop_origins(groups), set(walk.files)),
        skipped=tuple(skipped),
    )
    return FileSource(files, layout.pictures, metadata)


def open_files(files: Files, names: Sequence[str]) -> Source:
    """Open pictures named one by one, unlabelled; one that cannot be read keeps its row, with an error."""
    paths, origins = [files.path(name) for name in names], recorded_origins(files, names, None)
    metadata = Metadata(paths=paths, labels=unlabelled(len(names)), origins=origins)
    return FileSource(files, names, metadata)


def pictures_in(files: Files, walk: Walk) -> tuple[list[str], list[PictureError]]:
    """Pictures and other files: by suffix, or by the file's first bytes where the suffix does not decide."""
    pictures, skipped = [], list(walk.skipped)
    curable = []
    passed_over = own_outputs(files, walk)
    if passed_over:
        names = join_names([files.path(name) for name in passed_over])
        log.info("Passed over, since diptych sample, edit or balance wrote them: %s.", names)
    for name in walk.files if not passed_over else sorted(set(walk.files) - set(passed_over)):
        other = next((why for suffixes, why in _OTHERS.items() if name.lower().endswith(suffixes)), "")
        if other:
            curable.append(PictureError(other, files.path(name)))
        elif has_picture_suffix(name) or _has_signature(files, name):
            pictures.append(name)
        elif not name.lower().endswith(LABEL_FILE_SUFFIXES):  # a table may be about the pictures: it is not left out
            skipped.append(PictureError("not a picture", files.path(name)))
    return pictures, [*curable, *skipped]


def _has_signature(files: Files, name: str) -> bool:
    try:
        return has_known_signature(files.read_range(name, 0, 16))
    except (OSError, PictureError):
        return False


def _read(files: Files, walk: Walk, layout: Layout, choice: LabelChoice) -> Reading:
    """The labels that are chosen, or those that the folder leaves no doubt about."""
    where, pictures = files.path(""), layout.pictures
    unlabelled = Reading("none", "", *labels_from_names([None] * len(pictures)))
    if choice.unlabelled or not pictures:
        return unlabelled
    folders = _by_folders(layout)
    if choice.word == "folders":
        return folders
    if choice.word == "names":
        return _by_names(layout, where)
    decided = not layout.doubt and len(folders.classes) > 1 and choice.word == "auto"
    names = None if decided or choice.word != "auto" else read_file_names(pictures, layout.splits)
    tables = read_label_tables(files, walk, layout, choice, look_above=not decided)
    by_table = read_labels(tables, len(pictures), choice, alone=not decided and names is None)
    if choice.word == "column":
        return _by_column(by_table, tables, choice, where)
    numbered = bool(by_table) and are_numbered(layout.folders)  # images_part_1 and images_part_2 are no classes
    readings = [folders] if decided and not numbered else []
    chosen = choose([*readings, *([names] if names else []), *by_table], where)
    if chosen is None and layout.doubt:
        raise DataError(f"{where}: {layout.doubt}.")
    if chosen is None and (boxes := describe_boxes(files, walk)):
        log.warning("%s", boxes)
    if chosen is None and (columns := describe_columns(tables)):
        log.info("%s: no column is taken for the label; --labels chooses one: %s.", where, columns)
    return chosen or (unlabelled if are_any_pictures(layout.folders) else folders)


def _by_folders(layout: Layout) -> Reading:
    labels, classes = labels_from_names([name and printable(name) for name in layout.folders])
    return Reading("folders", "the folder names", labels, classes)


def _by_names(layout: Layout, where: str) -> Reading:
    """The labels before the numbers in file names, as a person chose."""
    reading = read_file_names(layout.pictures, layout.splits, chosen=True)
    if reading is None:
        example = layout.pictures[0]
        raise DataError(f"{where}: no file name has a label before its number, as cat.0.jpg has: {example}.")
    return reading


def _by_column(readings: Sequence[Reading], tables: Sequence[LabelTable], choice: LabelChoice, where: str) -> Reading:
    reading = choose(readings, where) or next(iter(readings), None)
    if reading is None:
        columns = describe_columns(tables) or "none"
        wanted = choice.column or choice.table
        raise DataError(f"{where}: there are no labels in {wanted}. Columns of tables about these pictures: {columns}.")
    return reading


def _log_loose(files: Files, loose: Sequence[PictureError], layout: Layout) -> None:
    """Report what lies beside the folders that count, and how it is used."""
    if not loose:
        return
    count = counted(len(loose), "picture or folder is", "pictures or folders are")
    if layout.splits is None:
        count = counted(len(loose), "picture is", "pictures are")
    them = "it" if len(loose) == 1 else "them"
    classes = join_names(sort_class_names({printable(name) for name in layout.folders if name}))
    home = f" (here: {classes})" if classes else ""
    log.warning(
        "%s: %s not used: %s. To use %s, move %s into the folder of the class%s.",
        files.path(""), count, join_names([str(error) for error in loose]), them, them, home,
    )  # fmt: skip


def _log_left_out(files: Files, walk: Walk, skipped: Sequence[PictureError], layout: Layout, reading: Reading) -> None:
    """Report what was left out, and empty classes."""
    where = files.path("")
    if walk.hidden:
        hidden = counted(walk.hidden, "hidden file or folder was", "hidden files or folders were")
        log.info("%s: %s ignored.", where, hidden)
    warn_of_skipped(where, skipped)
    if reading.option == "folders" and reading.classes:
        outputs = {posixpath.dirname(name) for name in own_outputs(files, walk)}
        folders = [name for name in walk.folders if name not in outputs]
        empty = sort_class_names(map(printable, layout.empty_classes(folders)))
        if empty:
            log.warning("%s: no picture in %s, so these classes are left out.", where, join_names(empty))


def warn_of_skipped(where: str, skipped: Sequence[PictureError]) -> None:
    """Name the files and folders that were left out, those with something to be done first."""
    if skipped:
        paths: dict[str, list[str]] = {}
        for error in skipped:
            paths.setdefault(error.reason, []).append(error.path)
        kinds = join_names([f"{join_names(names)}: {reason}" for reason, names in paths.items()], 5)
        count = counted(len(skipped), "file or folder was", "files or folders were")
        log.warning("%s: %s left out: %s.", where, count, kinds)


def _no_picture(files: Files, skipped: Sequence[PictureError]) -> str:
    others = ""
    if skipped:
        count = counted(len(skipped), "other file is", "other files are")
        others = f" ({count} there: {join_names([str(error) for error in skipped])})"
    return (
        f"There is no picture in {files.path('')}{others}. "
        "Give a folder that holds one folder of pictures for each class."
    )
