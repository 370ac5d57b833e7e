"""``pack.json``, which says what a packed set holds: its shards with their digests, its classes and columns.

Each shard has an index beside it, an Arrow file with a row for each picture: where its bytes lie, its digest, name,
label, origin and further columns. A set is opened by its indexes alone; no shard is read for it.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from diptych import json_reader
from diptych.data.messages import printable
from diptych.data.sources.files import Files
from diptych.errors import DataError, PictureError

MANIFEST = "pack.json"
VERSION = 1
TAR, PARQUET = "tar", "parquet"
FORMATS = (TAR, PARQUET)
#: Columns of an index that are Diptych's own; all others are columns of the set, behind this prefix.
OFFSET, SIZE, BLOCK, DIGEST, NAME, LABEL, ORIGIN, COLUMN = (
    "offset", "size", "block", "digest", "name", "label", "origin", "column:",
)  # fmt: skip
#: The columns of a Parquet shard that hold its pictures, in the layout of Hugging Face.
IMAGE = "image"

_Count = Annotated[int, Meta(ge=0, le=2**62)]
_Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]


class Shard(msgspec.Struct, frozen=True, kw_only=True):
    """A shard: its file and that of its index, each with size and SHA-256, and how many pictures it has."""

    name: Annotated[str, Meta(pattern=r"^shard-[0-9]{5,9}(-[0-9]+)?\.(tar|parquet)$")]
    pictures: Annotated[int, Meta(ge=1, le=2**40)]
    bytes: _Count
    sha256: _Sha256
    index_bytes: _Count
    index_sha256: _Sha256

    @property
    def index(self) -> str:
        """The file name of its index."""
        return index_name(self.name)


class PackManifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a packed set holds."""

    version: Annotated[int, Meta(ge=1)]
    format: Annotated[str, Meta(pattern="^(tar|parquet)$")]
    fingerprint: str  # of the pictures that were packed
    pictures: _Count
    classes: list[str]
    multi_label: bool
    columns: list[str]
    skipped: list[str]
    shards: list[Shard]


def index_name(shard: str) -> str:
    """The file name of a shard's index."""
    return f"{shard.rsplit('.', 1)[0]}.index"


def read_manifest(files: Files) -> PackManifest:
    """The manifest of a packed folder.

    Raises
    ------
    DataError
        It is damaged, or of a later version of Diptych.
    """
    where = files.path(MANIFEST)
    try:
        text = files.read(MANIFEST).decode("utf-8")
        manifest = json_reader.convert(json_reader.parse(text), PackManifest)
    except (UnicodeDecodeError, json_reader.JSONError, PictureError) as error:
        raise DataError(f"{where} is damaged: {error} Copy the folder again, or pack the pictures again.") from None
    if manifest.version != VERSION:
        raise DataError(
            f"{where} was written by a later version of Diptych (format {manifest.version}). Update Diptych."
        )
    if sum(shard.pictures for shard in manifest.shards) != manifest.pictures:
        raise DataError(f"{where} is damaged: its shards do not have {manifest.pictures:,} pictures together.")
    return manifest


def check_size(files: Files, name: str, expected: int) -> None:
    """Check that a file of a packed set is there and has its size.

    Raises
    ------
    DataError
        Names the file.
    """
    where = printable(files.path(name))
    try:
        size = files.size(name)
    except FileNotFoundError:
        raise DataError(f"{where} is missing, which {MANIFEST} names. Copy it there again, or pack again.") from None
    except OSError as error:
        raise DataError(f"{where} cannot be opened: {error}.") from None
    if size != expected:
        raise DataError(
            f"{where} has {size:,} bytes, but {MANIFEST} says {expected:,}. Copy it there again, or pack again."
        )


def as_json(manifest: PackManifest) -> dict[str, Any]:
    """The manifest as a value of JSON."""
    content: dict[str, Any] = msgspec.to_builtins(manifest)
    return content
