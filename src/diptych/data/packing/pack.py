"""``pack``: any set of pictures as shards, for sets that are larger than memory or lie on another machine.

Pictures are packed in a mixed order, the same each time: training reads neighbours together, which must not be of one
class. A run that is killed has lost at most the shards that were being written; the same command goes on.
"""

import io
import logging
import posixpath
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diptych import files, json_reader
from diptych.data.cache import ordered_map, thread_pool
from diptych.data.decode import check_file
from diptych.data.decoding.kinds import PICTURE_SUFFIXES, SIGNATURE_BYTES, candidate_formats
from diptych.data.messages import counted, join_names
from diptych.data.packing.shard_writers import IndexSchema, PackedPicture, write_shards
from diptych.data.picture_set import PictureSet
from diptych.data.provenance import generated_facts
from diptych.data.sources.base import ORIGINS
from diptych.data.sources.files import LocalFiles
from diptych.data.sources.packed.pack_manifest import (
    FORMATS,
    MANIFEST,
    TAR,
    VERSION,
    PackManifest,
    Shard,
    as_json,
    read_manifest,
)
from diptych.errors import DataError, PictureError, UsageError
from diptych.marks import mark_if, marked_kind
from diptych.progress import Bar
from diptych.resources import worker_count

log = logging.getLogger("diptych")
#: Pictures of a shard, and of a thread's share of the work.
SHARD_PICTURES = 10_000
_PLAN = ".plan.json"
_SUFFIXES = {"JPEG": ".jpg", "TIFF": ".tif", "JPEG2000": ".jp2", "HEIF": ".heic"}  # else the format's name
_ORDER_SEED = 0


class _Plan(msgspec.Struct, frozen=True):
    """What the unfinished folder is going to be."""

    format: str
    fingerprint: str
    pictures: int


class _Part(msgspec.Struct, frozen=True):
    """A part of the work that is done."""

    shards: list[Shard]
    skipped: list[str]


def pack(images: PictureSet, folder: Path, *, kind: str = TAR, workers: int | None = None) -> PackManifest:
    """Write pictures as shards into a new folder, which :meth:`diptych.Images.open` reads.

    Files are copied byte for byte; pictures that are arrays are written as PNG, marked where they are generated. What
    cannot be read is named and left out. The files are the same whatever the number of workers.

    Parameters
    ----------
    kind
        "tar": WebDataset's shards. "parquet": the layout of Hugging Face.
    workers
        Threads; ``None``: one for each processor.

    Raises
    ------
    UsageError
        The folder holds something else.
    DataError
        No picture can be read.
    """
    if kind not in FORMATS:
        raise UsageError(f"{kind!r} is no format of shards. Choose {' or '.join(FORMATS)}.")
    files.check_output_folder(folder)
    folder = folder.resolve()  # behind a link, and "."
    plan = _Plan(kind, _fingerprint(images), len(images))
    if (packed := _finished(folder, plan)) is not None:
        return packed
    draft = folder.with_name(f".{folder.name}.packing")
    if not (draft / MANIFEST).exists():
        _begin(draft, plan)
        _write_manifest(draft, plan, images, _parts(images, draft, kind, workers))
    for path in [draft / _PLAN, *draft.glob(".part-*.json"), *draft.glob(".*.draft")]:
        path.unlink(missing_ok=True)
    if folder.is_dir():
        shutil.rmtree(folder)  # which is empty, but for what the system has put there
    files.move(draft, folder)
    return read_manifest(LocalFiles(folder))


def _finished(folder: Path, plan: _Plan) -> PackManifest | None:
    """The manifest of a folder that holds these pictures already."""
    if (folder / MANIFEST).is_file():
        packed = read_manifest(LocalFiles(folder))
        if (packed.format, packed.fingerprint) == (plan.format, plan.fingerprint):
            log.info("%s holds these pictures already.", folder)
            return packed
        raise UsageError(f"{folder} holds other packed pictures, or another format. Name another folder, or delete it.")
    if folder.is_dir():
        if others := sorted(path.name for path in folder.iterdir() if not files.is_system_file(path)):
            raise UsageError(f"{folder} holds other files ({join_names(others, 3)}). Name a new folder.")
        if folder.is_mount() or folder == Path.cwd():  # which cannot be replaced by a finished one
            what = "where a disk is mounted" if folder.is_mount() else "the current folder"
            raise UsageError(f"{folder} is {what}. Name a new folder in it: -o {folder / 'shards'}")
    return None


def _fingerprint(images: PictureSet) -> str:
    """SHA-256 over all that is packed: pictures, labels, columns, origins and names."""
    digest = sha256(images.fingerprint().encode())
    for start in range(0, len(images), SHARD_PICTURES):
        part = images[start : start + SHARD_PICTURES]
        for values in (part.paths, part.origins, *(column for _, column in sorted(part.groups.items()))):
            texts = "\0".join(map(str, values.tolist()))
            digest.update(f"{len(texts)}:{texts}".encode("utf-8", "surrogateescape"))
    digest.update("\0".join(sorted(images.groups)).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _begin(draft: Path, plan: _Plan) -> None:
    """Go on in an unfinished folder of the same plan, else begin a new one."""
    try:
        same = json_reader.read(draft / _PLAN, _Plan) == plan
    except (OSError, DataError):
        same = False
    if not same:
        shutil.rmtree(draft, ignore_errors=True)
    files.write_text(draft / _PLAN, files.json_text(msgspec.to_builtins(plan)))


def _parts(images: PictureSet, draft: Path, kind: str, workers: int | None) -> list[_Part]:
    """Write what is not written yet, a shard a thread; the record of all."""
    order = np.random.default_rng(_ORDER_SEED).permutation(len(images))
    packer = _Packer(images, draft, kind, order, _schema(images), _common_folder(images))
    starts = range(0, len(images), SHARD_PICTURES)
    with Bar("Packing", len(images)) as bar, thread_pool(workers or worker_count()) as executor:
        parts = []
        for part in ordered_map(executor, packer.part, iter(starts), ahead=2 * (workers or worker_count())):
            parts.append(part)
            bar.advance(sum(shard.pictures for shard in part.shards) + len(part.skipped))
    return parts


@dataclass(frozen=True)
class _Packer:
    """Writes one part of the pictures after the other."""

    images: PictureSet
    draft: Path
    kind: str
    order: NDArray[np.int64]
    schema: IndexSchema
    common: str  # what the names of all pictures begin with

    def part(self, start: int) -> _Part:
        """The shards of the pictures from ``start`` on in the order; those that are there already are kept."""
        record = self.draft / f".part-{start // SHARD_PICTURES:05}.json"
        try:
            part = json_reader.read(record, _Part)
            if all((self.draft / shard.name).stat().st_size == shard.bytes for shard in part.shards):
                return part
        except (OSError, DataError):
            pass
        skipped: list[str] = []
        stem = f"shard-{start // SHARD_PICTURES:05}"
        shards = write_shards(self.draft, stem, self.kind, self.schema, self._pictures(start, skipped))
        part = _Part(shards, skipped)
        files.write_text(record, files.json_text(msgspec.to_builtins(part)))
        return part

    def _pictures(self, start: int, skipped: list[str]) -> Iterator[PackedPicture]:
        rows = self.order[start : start + SHARD_PICTURES]
        subset = self.images[rows]
        names = subset.paths.tolist()
        columns = {name: subset.groups[name].tolist() for name in self.schema.columns}
        for i, name in enumerate(names):
            try:
                content, origin = _content(subset, i, name)
            except PictureError as error:
                skipped.append(str(error))
                continue
            label, labelled = _label(subset, i)
            yield PackedPicture(
                key=f"{start + i:09}",
                suffix=_suffix(content, name),
                content=content,
                name=name[len(self.common) :],
                label=label,
                labelled=labelled,
                origin=origin,
                columns={key: values[i] for key, values in columns.items()},
            )


def _content(images: PictureSet, row: int, name: str) -> tuple[bytes, str]:
    """A picture's file and its origin, by its metadata or else the marks in the file. Raises PictureError."""
    content, origin = images.store.file(row), str(images.origins[row])
    if content is not None:
        check_file(content, name)
        return content, origin if origin != ORIGINS[0] else marked_kind(content) or origin
    out = io.BytesIO()
    Image.fromarray(images.picture(row)).save(out, "PNG")
    facts = None if origin == ORIGINS[0] else generated_facts(images[[row]], 0)
    return mark_if(out.getvalue(), facts), origin


def _label(images: PictureSet, row: int) -> tuple[int | list[int], list[str]]:
    if not images.multi_label:
        return int(images.labels[row]), []
    numbers = np.flatnonzero(images.labels[row]).tolist()
    return numbers, [images.classes[number] for number in numbers]


def _suffix(content: bytes, name: str) -> str:
    suffix = posixpath.splitext(name)[1].lower()
    if suffix in PICTURE_SUFFIXES:
        return suffix
    kind = next(candidate_formats(content[:SIGNATURE_BYTES], name), None)
    return ".img" if kind is None else _SUFFIXES.get(kind, f".{kind.lower()}")


def _schema(images: PictureSet) -> IndexSchema:
    import pyarrow as pa

    kinds = {"b": pa.bool_(), "i": pa.int64(), "u": pa.int64(), "f": pa.float64()}
    columns = {name: kinds.get(column.dtype.kind, pa.string()) for name, column in images.groups.items()}
    return IndexSchema(images.classes, images.multi_label, columns)


def _common_folder(images: PictureSet) -> str:
    """What the paths of all pictures begin with, up to the last "/", found without a list of all."""
    common: str | None = None
    for start in range(0, len(images), SHARD_PICTURES):
        for path in images[start : start + SHARD_PICTURES].paths.tolist():
            if common is None:
                common = path
            elif not path.startswith(common):
                common = posixpath.commonprefix([common, path])
    return (common or "")[: (common or "").rfind("/") + 1]


def _write_manifest(draft: Path, plan: _Plan, images: PictureSet, parts: list[_Part]) -> None:
    shards = [shard for part in parts for shard in part.shards]
    skipped = [reason for part in parts for reason in part.skipped]
    if skipped:
        count = counted(len(skipped), "picture cannot be read and is", "pictures cannot be read and are")
        log.warning("%s left out: %s.", count, join_names(skipped))
    if not shards:
        raise DataError("None of the pictures can be read, so that there is nothing to pack.")
    manifest = PackManifest(
        version=VERSION,
        format=plan.format,
        fingerprint=plan.fingerprint,
        pictures=sum(shard.pictures for shard in shards),
        classes=list(images.classes),
        multi_label=images.multi_label,
        columns=list(images.groups),
        skipped=skipped,
        shards=shards,
    )
    content: dict[str, Any] = as_json(manifest)
    if images.classes:  # for other programs: a class a line
        files.write_text(draft / "classes.txt", "".join(f"{' '.join(name.splitlines())}\n" for name in images.classes))
    files.write_text(draft / MANIFEST, files.json_text(content))
