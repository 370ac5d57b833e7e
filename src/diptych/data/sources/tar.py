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

from diptych.data.decoding.kinds import has_picture_suffix
from diptych.data.decoding.limits import MAX_FILE_BYTES
from diptych.data.messages import explain_os_error
from diptych.data.sources.base import Metadata, Source
from diptych.data.sources.files import Files
from diptych.data.sources.labelling.columns import group_columns, labels_of_records, pop_origins
from diptych.errors import DataError, PictureError

SHARD_SUFFIXES = (".tar", ".tar.gz", ".tgz")
_MAX_SIDECAR_BYTES = 1_000_000


@dataclass
class _Sample:
    """One picture of a shard: its member's name, where its bytes lie, and the fields of its sidecars."""

    shard: int
    name: str = ""
    start: int = 0
    count: int = 0
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
    samples = [sample for i, shard in enumerate(shards) for sample in shard.samples(i)]
    if not samples:
        raise DataError(f"There is no picture in {files.path(names[0])}.")
    _name_classes(files, posixpath.dirname(names[0]), samples)
    labels, classes = labels_of_records([sample.fields for sample in samples])
    groups = group_columns([sample.fields for sample in samples], exclude={"label", "labels"})
    paths = [f"{files.path(names[sample.shard])}#{sample.name}" for sample in samples]
    origins = pop_origins(groups)
    metadata = Metadata(paths=paths, labels=labels, classes=classes, groups=groups, origins=origins)
    return TarSource(shards, samples, metadata)


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
        """List the pictures of this shard with the fields of their sidecars."""
        samples: dict[str, _Sample] = {}
        try:
            if self._unpacked is not None:
                self._unpacked.seek(0)
                self._index(self._unpacked, shard, samples)
            else:
                with self._files.open(self._name) as file:
                    self._index(file, shard, samples)
        except (tarfile.TarError, OSError) as error:
            raise DataError(f"{self._files.path(self._name)} cannot be read: {error}") from None
        return [sample for sample in samples.values() if sample.name]

    def _index(self, file: Any, shard: int, samples: dict[str, _Sample]) -> None:
        """Add the shard's samples by key."""
        with tarfile.open(fileobj=file, mode="r:", errors="surrogateescape") as archive:
            for member in archive:
                base = posixpath.basename(member.name)
                if not member.isfile() or base.startswith(".") or "." not in base:
                    continue
                stem, suffix = base.split(".", 1)
                sample = samples.setdefault(f"{posixpath.dirname(member.name)}/{stem}", _Sample(shard))
                suffix = suffix.lower()
                if has_picture_suffix(base):
                    if not sample.name:
                        sample.name, sample.start, sample.count = member.name, member.offset_data, member.size
                elif suffix in ("cls", "json") and member.size < _MAX_SIDECAR_BYTES:
                    sidecar = archive.extractfile(member)
                    sample.fields.update(_sidecar_fields(suffix, sidecar.read() if sidecar else b""))


def _sidecar_fields(suffix: str, data: bytes) -> dict[str, Any]:
    """The fields of a sidecar: a class (a number or a name), or a JSON object with its label and more."""
    text = data.decode("utf-8", "replace").strip()
    if suffix == "cls":
        return {"label": int(text) if text.removeprefix("-").isdecimal() else text}
    try:
        content = json.loads(text)
    except ValueError:
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
