"""Shards: WebDataset's tar or Parquet in Hugging Face's layout, with the files' bytes as they are, and their index."""

import json
import os
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b, file_digest
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from diptych import files
from diptych.data.sources.packed.pack_manifest import (
    BLOCK,
    COLUMN,
    DIGEST,
    IMAGE,
    LABEL,
    NAME,
    OFFSET,
    ORIGIN,
    SIZE,
    TAR,
    Shard,
    index_name,
)

MAX_SHARD_BYTES = 256_000_000
#: Neighbours that are read together from a distance; also the row groups of Parquet.
BLOCK_BYTES, BLOCK_PICTURES = 4_000_000, 1024
_SECTOR = 512  # of a tar


@dataclass(frozen=True)
class PackedPicture:
    """A picture on its way into a shard.

    Attributes
    ----------
    key
        Its name in the shard, without a dot: the number of the picture among all.
    suffix
        Of its kind of file, ".jpg".
    name
        Its name where it came from.
    label
        Class number, -1 for none; or the class numbers, of a set whose pictures may have several labels.
    labelled
        The names of its labels.
    columns
        Further values by name.
    """

    key: str
    suffix: str
    content: bytes
    name: str
    label: int | list[int]
    labelled: Sequence[str]
    origin: str
    columns: Mapping[str, Any]


class ShardFormat(Protocol):
    """A file of pictures that grows."""

    def add(self, picture: PackedPicture, block: int) -> None:
        """Append one picture."""

    def close(self) -> list[int]:
        """Finish the file; returns at which of its bytes each picture begins."""


class TarShard:
    """A tar of pictures, each with its class number (.cls) and, where there is more to say, a .json.

    Headers are written here, not by ``tarfile``, which takes longer for each than the picture itself.
    """

    def __init__(self, path: Path, schema: "IndexSchema") -> None:
        self._file, self._offsets, self._schema = path.open("wb"), list[int](), schema
        self._end = 0

    def add(self, picture: PackedPicture, block: int) -> None:
        """See :class:`ShardFormat`."""
        self._offsets.append(self._end + _SECTOR)
        self._member(picture.key + picture.suffix, picture.content)
        if isinstance(picture.label, int) and picture.label >= 0:
            self._member(f"{picture.key}.cls", str(picture.label).encode())
        facts: dict[str, Any] = dict(picture.columns)
        if isinstance(picture.label, list):
            facts["labels"] = list(picture.labelled)
        if picture.origin != "real":
            facts["origin"] = picture.origin
        if facts:
            self._member(f"{picture.key}.json", json.dumps(facts).encode())

    def close(self) -> list[int]:
        """See :class:`ShardFormat`."""
        self._file.write(bytes(2 * _SECTOR))
        _finish(self._file)
        return self._offsets

    def _member(self, name: str, content: bytes) -> None:
        padding = -len(content) % _SECTOR
        self._file.write(_tar_header(name, len(content)))
        self._file.write(content)
        self._file.write(bytes(padding))
        self._end += _SECTOR + len(content) + padding


class ParquetShard:
    """Parquet with a row group for each block, uncompressed, so that each picture is one range of the file."""

    def __init__(self, path: Path, schema: "IndexSchema") -> None:
        self._path, self._schema = path, schema
        self._writer: Any = None
        self._pending: list[PackedPicture] = []
        self._sizes: list[bytes] = []
        self._block = 0

    def add(self, picture: PackedPicture, block: int) -> None:
        """See :class:`ShardFormat`."""
        if block != self._block:
            self._write()
        self._block = block
        self._pending.append(picture)

    def close(self) -> list[int]:
        """See :class:`ShardFormat`."""
        self._write()
        self._writer.close()
        with self._path.open("rb+") as file:
            os.fsync(file.fileno())
        return list(self._offsets())

    def _write(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        pictures, self._pending = self._pending, []
        kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
        images = [{"bytes": one.content, "path": one.key + one.suffix} for one in pictures]
        columns = {IMAGE: pa.array(images, kind), **self._schema.described(pictures)}
        table = pa.table(columns).replace_schema_metadata({"huggingface": self._schema.hugging_face()})
        if self._writer is None:
            self._writer = pq.ParquetWriter(
                self._path, table.schema, compression="none", use_dictionary=False, write_statistics=False,
                data_page_size=1 << 30,
            )  # fmt: skip
        self._writer.write_table(table, row_group_size=len(table))
        self._sizes += [struct.pack("<I", len(one.content)) + one.content[:16] for one in pictures]

    def _offsets(self) -> Iterator[int]:
        """Where each picture's bytes begin: behind their length, page after page in the order of the rows."""
        import pyarrow.parquet as pq

        metadata, number = pq.read_metadata(self._path), 0
        with self._path.open("rb") as file:
            for group in range(metadata.num_row_groups):
                rows, column = metadata.row_group(group).num_rows, metadata.row_group(group).column(0)
                file.seek(column.data_page_offset)
                chunk, at = file.read(column.total_compressed_size), 0
                for begin in self._sizes[number : number + rows]:
                    at = chunk.index(begin, at)
                    yield int(column.data_page_offset) + at + 4
                    at += 4 + struct.unpack("<I", begin[:4])[0]
                number += rows


@dataclass(frozen=True)
class IndexSchema:
    """What the pictures of a set are described by.

    Attributes
    ----------
    columns
        The names of the further columns, with their Arrow type.
    """

    classes: Sequence[str]
    multi_label: bool
    columns: Mapping[str, Any]

    def described(self, pictures: Sequence[PackedPicture]) -> dict[str, Any]:
        """The columns of a Parquet shard beside the pictures."""
        import pyarrow as pa

        label = "labels" if self.multi_label else "label"
        return {
            label: self._labels(pictures, pa.int64()),
            "origin": pa.array([one.origin for one in pictures], pa.string()),
            **{name: pa.array([one.columns[name] for one in pictures], kind) for name, kind in self.columns.items()},
        }

    def hugging_face(self) -> str:
        """The description that Hugging Face keeps beside the schema, so that class names accompany the numbers."""
        label: dict[str, Any] = {"names": list(self.classes), "_type": "ClassLabel"}
        if self.multi_label:
            label = {"feature": label, "_type": "List"}
        name = "labels" if self.multi_label else "label"
        features = {IMAGE: {"_type": "Image"}, **({name: label} if self.classes else {})}
        return json.dumps({"info": {"features": features}})

    def index(self, pictures: Sequence[PackedPicture], blocks: list[int], offsets: list[int]) -> Any:
        """The index of a shard, as an Arrow table; the contents of the pictures are their digests by now."""
        import pyarrow as pa

        texts = pa.dictionary(pa.int32(), pa.string())
        columns = {
            OFFSET: pa.array(offsets, pa.int64()),
            BLOCK: pa.array(blocks, pa.int32()),
            NAME: pa.array([one.name for one in pictures], pa.large_string()),
            LABEL: self._labels(pictures, pa.int32()),
            ORIGIN: pa.array([one.origin for one in pictures], texts),
        }
        for name, kind in self.columns.items():
            kind = texts if pa.types.is_string(kind) else kind
            columns[COLUMN + name] = pa.array([one.columns[name] for one in pictures], kind)
        return pa.table(columns)

    def _labels(self, pictures: Sequence[PackedPicture], kind: Any) -> Any:
        import pyarrow as pa

        return pa.array([one.label for one in pictures], pa.list_(kind) if self.multi_label else kind)


def write_shards(
    folder: Path, stem: str, kind: str, schema: IndexSchema, pictures: Iterable[PackedPicture]
) -> list[Shard]:
    """Write pictures as one shard, or as several where one would be too large, each under its name once it is whole."""
    shards: list[Shard] = []
    writer: _ShardWriter | None = None
    for picture in pictures:
        if writer is not None and writer.bytes + len(picture.content) > MAX_SHARD_BYTES:
            shards.append(writer.close())
            writer = None
        if writer is None:
            name = f"{stem}{f'-{len(shards)}' if shards else ''}.{kind}"
            writer = _ShardWriter(folder, name, schema)
        writer.add(picture)
    return shards if writer is None else [*shards, writer.close()]


class _ShardWriter:
    """One shard and its index."""

    def __init__(self, folder: Path, name: str, schema: IndexSchema) -> None:
        self._folder, self._name, self._schema = folder, name, schema
        self._draft = folder / f".{name}.draft"
        self._shard: ShardFormat = (TarShard if name.endswith(TAR) else ParquetShard)(self._draft, schema)
        self._pictures: list[PackedPicture] = []
        self._sizes: list[int] = []
        self._digests: list[int] = []
        self._blocks: list[int] = []
        self._block = self._block_bytes = self._block_pictures = 0
        self.bytes = 0

    def add(self, picture: PackedPicture) -> None:
        size = len(picture.content)
        if self._block_pictures and (self._block_bytes + size > BLOCK_BYTES or self._block_pictures == BLOCK_PICTURES):
            self._block, self._block_bytes, self._block_pictures = self._block + 1, 0, 0
        self._shard.add(picture, self._block)
        self._block_bytes, self._block_pictures, self.bytes = (
            self._block_bytes + size,
            self._block_pictures + 1,
            self.bytes + size,
        )
        self._sizes.append(size)
        self._digests.append(int.from_bytes(blake2b(picture.content, digest_size=8).digest(), "little"))
        self._blocks.append(self._block)
        self._pictures.append(_without_content(picture))

    def close(self) -> Shard:
        import pyarrow as pa

        offsets = self._shard.close()
        table = self._schema.index(self._pictures, self._blocks, offsets)
        table = table.append_column(SIZE, pa.array(self._sizes, pa.int32()))
        table = table.append_column(DIGEST, pa.array(self._digests, pa.uint64()))
        index = self._folder / index_name(self._name)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        files.write_bytes(index, sink.getvalue().to_pybytes())
        path = self._folder / self._name
        files.move(self._draft, path)
        return Shard(
            name=self._name,
            pictures=len(self._pictures),
            bytes=path.stat().st_size,
            sha256=_sha256(path),
            index_bytes=index.stat().st_size,
            index_sha256=_sha256(index),
        )


def _without_content(picture: PackedPicture) -> PackedPicture:
    return PackedPicture(
        picture.key, picture.suffix, b"", picture.name, picture.label, picture.labelled, picture.origin, picture.columns
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _finish(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
    file.close()


def _tar_header(name: str, size: int) -> bytes:
    """The header of an ordinary file, of POSIX.1-1988 (ustar): no time, no owner, so that the bytes are the same."""
    before = name.encode("ascii").ljust(100, b"\0") + b"0000644\0" + b"0000000\0" * 2 + b"%011o\0" % size
    before += b"00000000000\0"
    after = b"0".ljust(101, b"\0") + b"ustar\x0000" + bytes(64) + b"0000000\0" * 2
    header = (before + b" " * 8 + after).ljust(_SECTOR, b"\0")
    return header[:148] + b"%06o\0 " % sum(header) + header[156:]
