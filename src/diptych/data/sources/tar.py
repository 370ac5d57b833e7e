"""WebDataset shards: .tar files whose members are grouped by key (0001.jpg, 0001.cls, 0001.json); packed class folders.

A key ends at the first dot of a name, as WebDataset has it. Where a shard has names with dots in them, and each picture
has a sidecar of its own ("Scan 2.1.png", "Scan 2.1.cls"), a key ends at the last dot.
"""

import gzip
import logging
import mmap
import posixpath
import tarfile
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from diptych import json_reader
from diptych.data.decoding.kinds import has_picture_suffix
from diptych.data.decoding.limits import MAX_FILE_BYTES
from diptych.data.labels import labels_from_names
from diptych.data.messages import counted, explain_os_error, join_names, printable
from diptych.data.sources.archive_names import plain_path
from diptych.data.sources.base import Metadata, Source
from diptych.data.sources.files import ARCHIVE_ERRORS, Files
from diptych.data.sources.labelling.columns import group_columns, labels_of_records, pop_origins
from diptych.data.sources.labelling.label_choice import log_reading
from diptych.data.sources.labelling.layout import read_layout
from diptych.data.sources.unpacked_size import check_unpacked
from diptych.errors import DataError, PictureError
from diptych.files import is_hidden

log = logging.getLogger("diptych")
SHARD_SUFFIXES = (".tar", ".tar.gz", ".tgz")
_MAX_SIDECAR_BYTES = 1_000_000
_BLOCK_BYTES = 1 << 20
_MIN_CLASSES = 2  # that folders in an archive without labels are taken for
_SIDECARS = (".cls", ".json")


@dataclass
class _Sample:
    """One picture of a shard: its member's name, where its bytes lie, and the fields of its sidecars."""

    shard: int
    name: str
    start: int
    count: int
    fields: dict[str, Any] = field(default_factory=dict)


class TarSource(Source):
    """Pictures at known offsets inside uncompressed shards."""

    def __init__(self, shards: "Sequence[_Shard]", samples: Sequence[_Sample], metadata: Metadata) -> None:
        self._shards, self._samples = shards, samples
        super().__init__(metadata)

    def read(self, row: int) -> bytes:
        """See :class:`Source`."""
        sample = self._samples[row]
        if sample.count > MAX_FILE_BYTES:
            limit = MAX_FILE_BYTES // 1_000_000
            raise PictureError(f"the file holds more than {limit} MB", self.metadata.paths[row])
        try:
            return self._shards[sample.shard].read(sample.start, sample.count)
        except OSError as error:
            raise PictureError(explain_os_error(error), self.metadata.paths[row]) from None

    def identity(self, row: int) -> bytes:
        """See :class:`Source`."""
        sample = self._samples[row]
        return f"{sample.name}\0{sample.count}".encode("utf-8", "surrogateescape")


def open_tar(files: Files, names: Sequence[str]) -> Source:
    """Open shards as one source, in order. A classes.txt beside them names numbered classes."""
    shards = [_Shard(files, name) for name in names]
    contents = [shard.contents(i) for i, shard in enumerate(shards)]
    samples = [sample for pictures, sidecars in contents for sample in _grouped(pictures, sidecars)]
    if not samples:
        raise DataError(f"There is no picture in {files.path(names[0])}.")
    where = files.path(names[0]) if len(names) == 1 else f"{files.path(names[0])} and {len(names) - 1} more"
    if not any(sidecars for _, sidecars in contents):
        pictures = [picture for shard_pictures, _ in contents for picture in shard_pictures]
        if (packed := _packed_folder(files, names, shards, pictures, where)) is not None:
            return packed
    _warn_of_dropped(contents, samples, where)
    _name_classes(files, posixpath.dirname(names[0]), samples)
    labels, classes = labels_of_records([sample.fields for sample in samples])
    groups = group_columns([sample.fields for sample in samples], exclude={"label", "labels"})
    paths = _paths(files, names, samples)
    origins = pop_origins(groups)
    metadata = Metadata(paths=paths, labels=labels, classes=classes, groups=groups, origins=origins)
    return TarSource(shards, samples, metadata)


def _paths(files: Files, names: Sequence[str], samples: Sequence[_Sample]) -> list[str]:
    return [f"{files.path(names[sample.shard])}#{printable(sample.name)}" for sample in samples]


def _packed_folder(
    files: Files, names: Sequence[str], shards: "Sequence[_Shard]", pictures: Sequence[_Sample], where: str
) -> Source | None:
    """Archives of class folders without any sidecar, read as the folders would be; ``None`` if they are none."""
    sample_of = {picture.name: picture for picture in pictures}
    layout = read_layout([picture.name for picture in pictures])
    if layout.doubt or len({*layout.folders} - {None}) < _MIN_CLASSES or len(sample_of) < len(pictures):
        return None
    labels, classes = labels_from_names([folder and printable(folder) for folder in layout.folders])
    groups = {} if layout.splits is None else {"split": np.array(layout.splits)}
    samples = [sample_of[name] for name in layout.pictures]
    skipped = tuple(PictureError(reason, f"{where}#{printable(name)}") for name, reason in layout.left_out.items())
    log_reading(where, groups.get("split"), labels, classes, "the folder names in the archive")
    if skipped:
        count = counted(len(skipped), "picture or folder is", "pictures or folders are")
        log.warning("%s: %s not used: %s.", where, count, join_names([str(error) for error in skipped]))
    paths = _paths(files, names, samples)
    metadata = Metadata(paths=paths, labels=labels, classes=classes, groups=groups, skipped=skipped)
    return TarSource(shards, samples, metadata)


def _grouped(pictures: Sequence[_Sample], sidecars: Sequence[tuple[str, dict[str, Any]]]) -> list[_Sample]:
    """The first picture of each key, with the fields of the sidecars of that key."""
    counts = Counter(_key(picture.name) for picture in pictures)
    repeated = [picture.name for picture in pictures if counts[_key(picture.name)] > 1]
    own = {_stem(name) for name, _ in sidecars}
    key = _stem if repeated and all(_stem(name) in own for name in repeated) else _key
    samples: dict[str, _Sample] = {}
    for picture in pictures:
        samples.setdefault(key(picture.name), picture)
    for name, fields in sidecars:
        if key(name) in samples and name[len(key(name)) :].lower() in _SIDECARS:
            samples[key(name)].fields.update(fields)
    return list(samples.values())


def _key(name: str) -> str:
    """A member's name up to the first dot after its folder."""
    folder, base = posixpath.split(name)
    return posixpath.join(folder, base.split(".", 1)[0])


def _stem(name: str) -> str:
    return posixpath.splitext(name)[0]


def _warn_of_dropped(contents: Sequence[tuple[list[_Sample], Any]], samples: Sequence[_Sample], where: str) -> None:
    kept = {id(sample) for sample in samples}
    dropped = [sample.name for pictures, _ in contents for sample in pictures if id(sample) not in kept]
    if dropped:
        log.warning(
            "%s: %s not used: %s. Members whose names are equal up to the first dot are one sample, with one picture; "
            "rename those that are pictures of their own.",
            where, counted(len(dropped), "picture is", "pictures are"), join_names(list(map(printable, dropped))),
        )  # fmt: skip


class _Shard:
    """One .tar; a compressed one is unpacked into a temporary file, since pictures are read in any order."""

    def __init__(self, files: Files, name: str) -> None:
        self._files, self._name = files, name
        self._unpacked: Any = None
        if not name.endswith(".tar"):
            try:
                with files.open(name) as packed, gzip.open(packed) as plain, tempfile.TemporaryFile() as copy:
                    packed_bytes = files.size(name)
                    while block := plain.read(_BLOCK_BYTES):
                        copy.write(block)
                        check_unpacked(packed_bytes, copy.tell(), files.path(name))
                    copy.flush()
                    self._unpacked = mmap.mmap(copy.fileno(), 0, access=mmap.ACCESS_READ)
            except DataError:
                raise
            except (OSError, ValueError, *ARCHIVE_ERRORS) as error:
                raise DataError(f"{files.path(name)} cannot be unpacked: {error}") from None

    def __reduce__(self) -> tuple[Any, ...]:
        return _Shard, (self._files, self._name)  # a mapped file does not travel to another process

    def read(self, start: int, count: int) -> bytes:
        if self._unpacked is None:
            return self._files.read_range(self._name, start, count)
        return bytes(self._unpacked[start : start + count])

    def contents(self, shard: int) -> tuple[list[_Sample], list[tuple[str, dict[str, Any]]]]:
        """The pictures of this shard, and the names of its sidecars with their fields."""
        try:
            if self._unpacked is not None:
                self._unpacked.seek(0)
                return self._index(self._unpacked, shard)
            with self._files.open(self._name) as file:
                return self._index(file, shard)
        except DataError:
            raise
        except (
            tarfile.TarError,
            OSError,
            ValueError,
            OverflowError,
            MemoryError,  # for a header that claims to be larger than any memory
            *ARCHIVE_ERRORS,
        ) as error:  # of a zip around it too
            reason = str(error) or "a header in it is damaged"
            raise DataError(f"{self._files.path(self._name)} cannot be read: {reason}") from None

    def _index(self, file: Any, shard: int) -> tuple[list[_Sample], list[tuple[str, dict[str, Any]]]]:
        pictures: list[_Sample] = []
        sidecars, links = [], []
        places: dict[str, tuple[int, int]] = {}  # of pictures, for the hard links to them
        with tarfile.open(fileobj=file, mode="r:", errors="surrogateescape") as archive:
            for member in archive:
                name = plain_path(member.name)
                if member.size < 0:  # by which Python would go back in the file, and never come to its end
                    raise DataError(f"{self._files.path(self._name)} is damaged: {printable(name)} has no size.")
                if member.isdir() or any(map(is_hidden, name.split("/"))):
                    continue
                suffix = posixpath.splitext(name)[1].lower()
                if has_picture_suffix(name):
                    place = self._place(member, places)
                    if place is None:
                        links.append(name)
                        continue
                    places[name] = place
                    pictures.append(_Sample(shard, name, *place))
                elif suffix in _SIDECARS and member.isfile() and member.size < _MAX_SIDECAR_BYTES:
                    sidecar = archive.extractfile(member)
                    where = f"{self._files.path(self._name)}#{printable(name)}"
                    sidecars.append((name, _sidecar_fields(suffix, sidecar.read() if sidecar else b"", where)))
        if links:
            log.warning(
                "%s: %s not used: %s. Pack the files that the links lead to: tar -h.",
                self._files.path(self._name), counted(len(links), "link is", "links are"),
                join_names(list(map(printable, links))),
            )  # fmt: skip
        return pictures, sidecars

    def _place(self, member: tarfile.TarInfo, places: Mapping[str, tuple[int, int]]) -> tuple[int, int] | None:
        """Where the bytes of a member lie, and how many they are; ``None`` of a link to what is not there."""
        if member.issparse():
            raise DataError(
                f"{self._files.path(self._name)} leaves out the empty parts of {printable(member.name)} and of others "
                "(tar -S), so that they cannot be read in place. Pack them again without -S."
            )
        if member.isfile():
            return member.offset_data, member.size
        return places.get(plain_path(member.linkname)) if member.islnk() else None


def _sidecar_fields(suffix: str, data: bytes, where: str) -> dict[str, Any]:
    """The fields of a sidecar: a class (a number or a name), or a JSON object with its label and more."""
    try:
        text = data.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise DataError(f"{where}: the text is not UTF-8. Write the archive again with its texts in UTF-8.") from None
    if suffix == ".cls":
        return {"label": int(text) if text.removeprefix("-").isdecimal() else text}
    try:
        content = json_reader.parse(text, foreign=True)
    except json_reader.JSONError:
        return {}
    if not isinstance(content, dict):
        return {"label": content}
    fields = {str(k): v for k, v in content.items() if v is None or isinstance(v, (str, int, float, bool))}
    fields |= {key: content[key] for key in ("label", "labels") if isinstance(content.get(key), list)}
    if "label" not in fields and "class" in fields:
        fields["label"] = fields.pop("class")
    return fields


def _name_classes(files: Files, folder: str, samples: Sequence[_Sample]) -> None:
    """Replace class numbers by the names in classes.txt, one class a line; -1 is unlabelled."""
    listing = posixpath.join(folder, "classes.txt")
    names: list[str] = []
    if files.exists(listing):
        names = files.read(listing).decode("utf-8-sig", "replace").split("\n")
    for sample in samples:
        label = sample.fields.get("label")
        if isinstance(label, int) and not isinstance(label, bool):
            name = 0 <= label < len(names) and names[label].strip()
            sample.fields["label"] = name or (str(label) if label >= 0 else None)
