"""WebDataset shards: .tar files whose members are grouped by key (0001.jpg, 0001.cls, 0001.json)."""

import gzip
import json
import mmap
import posixpath
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from diptych.data.decode import BYTE_LIMIT, SUFFIXES
from diptych.data.sources.base import Rows, Source, reason
from diptych.data.sources.files import Files
from diptych.data.sources.metadata import group_columns, labels_of_records, origins_among
from diptych.errors import DataError, PictureError

SHARDS = (".tar", ".tar.gz", ".tgz")


@dataclass
class _Sample:
    """One key of one shard."""

    shard: int
    name: str = ""
    start: int = 0
    count: int = 0
    facts: dict[str, Any] = field(default_factory=dict)


class TarSource(Source):
    """Pictures that lie at known places inside uncompressed shards."""

    def __init__(self, shards: "Sequence[_Shard]", samples: Sequence[_Sample], rows: Rows) -> None:
        self._shards, self._samples = shards, samples
        super().__init__(rows)

    def read(self, row: int) -> bytes:
        """See :class:`Source`."""
        sample = self._samples[row]
        if sample.count > BYTE_LIMIT:
            limit = BYTE_LIMIT // 1_000_000
            raise PictureError(f"the file holds more than {limit} MB", self.rows.paths[row])
        try:
            return self._shards[sample.shard].read(sample.start, sample.count)
        except OSError as error:
            raise PictureError(reason(error), self.rows.paths[row]) from None

    def identity(self, row: int) -> bytes:
        """See :class:`Source`."""
        sample = self._samples[row]
        return f"{sample.name}\0{sample.count}".encode("utf-8", "surrogateescape")


def open_tar(files: Files, names: Sequence[str]) -> Source:
    """Open some shards as one source, in order. A classes.txt beside them names numbered classes."""
    shards = [_Shard(files, name) for name in names]
    samples = [sample for i, shard in enumerate(shards) for sample in shard.samples(i)]
    if not samples:
        raise DataError(f"There is no picture in {files.path(names[0])}.")
    _name_classes(files, posixpath.dirname(names[0]), samples)
    labels, classes = labels_of_records([sample.facts for sample in samples])
    groups = group_columns([sample.facts for sample in samples], without={"label", "labels"})
    paths = [f"{files.path(names[sample.shard])}#{sample.name}" for sample in samples]
    origins = origins_among(groups)
    rows = Rows(paths=paths, labels=labels, classes=classes, groups=groups, origins=origins)
    return TarSource(shards, samples, rows)


class _Shard:
    """One .tar; a compressed one is unpacked into a temporary file, since pictures are read in any order."""

    def __init__(self, files: Files, name: str) -> None:
        self._files, self._name = files, name
        self._unpacked: Any = None
        if not name.endswith(".tar"):
            try:
                with files.open(name) as packed, gzip.open(packed) as plain, tempfile.TemporaryFile() as copy:
                    shutil.copyfileobj(plain, copy)
                    copy.flush()
                    self._unpacked = mmap.mmap(copy.fileno(), 0, access=mmap.ACCESS_READ)
            except (OSError, EOFError, ValueError, zlib.error) as error:
                raise DataError(f"{files.path(name)} cannot be unpacked: {error}") from None

    def read(self, start: int, count: int) -> bytes:
        if self._unpacked is None:
            return self._files.read_range(self._name, start, count)
        return bytes(self._unpacked[start : start + count])

    def samples(self, shard: int) -> list[_Sample]:
        """List the pictures of this shard with what their sidecars say."""
        found: dict[str, _Sample] = {}
        try:
            if self._unpacked is not None:
                self._unpacked.seek(0)
                self._index(self._unpacked, shard, found)
            else:
                with self._files.open(self._name) as file:
                    self._index(file, shard, found)
        except (tarfile.TarError, OSError) as error:
            raise DataError(f"{self._files.path(self._name)} cannot be read: {error}") from None
        return [sample for sample in found.values() if sample.name]

    def _index(self, file: Any, shard: int, found: dict[str, _Sample]) -> None:
        with tarfile.open(fileobj=file, mode="r:", errors="surrogateescape") as archive:
            for member in archive:
                base = posixpath.basename(member.name)
                if not member.isfile() or base.startswith(".") or "." not in base:
                    continue
                stem, suffix = base.split(".", 1)
                sample = found.setdefault(f"{posixpath.dirname(member.name)}/{stem}", _Sample(shard))
                suffix = suffix.lower()
                if f".{suffix.rsplit('.', 1)[-1]}" in SUFFIXES:
                    if not sample.name:
                        sample.name, sample.start, sample.count = member.name, member.offset_data, member.size
                elif suffix in ("cls", "json") and member.size < 1_000_000:
                    held = archive.extractfile(member)
                    sample.facts.update(_facts(suffix, held.read() if held else b""))


def _facts(suffix: str, data: bytes) -> dict[str, Any]:
    """What a sidecar says: a class (a number or a name), or a JSON object with its label and more."""
    text = data.decode("utf-8", "replace").strip()
    if suffix == "cls":
        return {"label": int(text) if text.removeprefix("-").isdecimal() else text}
    try:
        held = json.loads(text)
    except ValueError:
        return {}
    if not isinstance(held, dict):
        return {"label": held}
    facts = {str(k): v for k, v in held.items() if v is None or isinstance(v, (str, int, float, bool))}
    facts |= {key: held[key] for key in ("label", "labels") if isinstance(held.get(key), list)}
    if "label" not in facts and "class" in facts:
        facts["label"] = facts.pop("class")
    return facts


def _name_classes(files: Files, folder: str, samples: Sequence[_Sample]) -> None:
    """Put names for numbers where a classes.txt has them, a line a class; -1 is unlabelled."""
    listing = posixpath.join(folder, "classes.txt")
    names: list[str] = []
    if files.exists(listing):
        names = files.read(listing).decode("utf-8-sig", "replace").split("\n")
    for sample in samples:
        label = sample.facts.get("label")
        if isinstance(label, int) and not isinstance(label, bool):
            inside = 0 <= label < len(names) and names[label].strip()
            sample.facts["label"] = inside or (str(label) if label >= 0 else None)
