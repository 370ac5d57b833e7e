"""From pictures to rows of a gallery's table: embeddings, thumbnails, paths and metadata, batch by batch."""

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from diptych.data.images import Images
from diptych.data.labels import label_names
from diptych.data.provenance import generated_facts, known_origins
from diptych.engine import row_jobs
from diptych.errors import DataError, PictureError
from diptych.marks import mark_if
from diptych.recognition.gallery.adapter import Adapter
from diptych.recognition.gallery.table import metadata_column, vector_array
from diptych.recognition.inference.embedder import Embedder

if TYPE_CHECKING:
    import pyarrow as pa

THUMBNAIL_PIXELS = 160  # of the longer side
THUMBNAIL_QUALITY = 80


@dataclass
class Enrolment:
    """What an enrolment did.

    Attributes
    ----------
    added, present
        Pictures added, and those that were in the gallery already and stayed as they were.
    other_label
        Of those, the paths of pictures that are in it under another label.
    unreadable
        Why pictures could not be read.
    adapter
        What was found about the adapter, in a sentence; empty where none was asked for.
    """

    added: int = 0
    present: int = 0
    other_label: list[str] = field(default_factory=list)
    unreadable: list[PictureError] = field(default_factory=list)
    adapter: str = ""


@dataclass(frozen=True)
class Rows:
    """Pictures ready to be written.

    Attributes
    ----------
    ids
        Digests of their contents.
    labels, paths, origins, thumbnails
        Of each.
    embeddings
        (n, D) float32 of unit length.
    metadata
        A text for each by the name of the column.
    """

    ids: list[str]
    labels: list[str]
    paths: list[str]
    origins: list[str]
    thumbnails: list[bytes]
    embeddings: Tensor
    metadata: dict[str, list[str]]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, rows: list[int]) -> "Rows":
        def pick(values: list[Any]) -> list[Any]:
            return [values[row] for row in rows]

        return replace(
            self,
            ids=pick(self.ids),
            labels=pick(self.labels),
            paths=pick(self.paths),
            origins=pick(self.origins),
            thumbnails=pick(self.thumbnails),
            embeddings=self.embeddings[rows],
            metadata={name: pick(texts) for name, texts in self.metadata.items()},
        )

    def table(self, adapter: Adapter | None) -> "pa.Table":
        """The rows as the gallery's table has them."""
        import pyarrow as pa

        columns: dict[str, Any] = {
            "id": pa.array(self.ids, pa.string()),
            "label": pa.array(self.labels, pa.string()),
            "path": pa.array(self.paths, pa.string()),
            "origin": pa.array(self.origins, pa.string()),
            "thumbnail": pa.array(self.thumbnails, pa.binary()),
            "embedding": vector_array(self.embeddings),
        }
        if adapter is not None:
            columns["vector"] = vector_array(adapter(self.embeddings))
        columns |= {metadata_column(name): pa.array(texts, pa.string()) for name, texts in self.metadata.items()}
        return pa.table(columns)


def rows_of(images: Images, embedder: Embedder) -> Iterator[tuple[Rows, list[PictureError]]]:
    """The rows of labelled pictures, some hundred at a time, and why others cannot be read.

    Raises
    ------
    DataError
        A picture has no label, or several.
    """
    labels, ranges = single_labels(images), row_jobs.ranges(len(images))
    runner = row_jobs.runner()
    if runner is None:
        for rows in ranges:
            chunk = row_jobs.part_of(images, rows)
            yield _rows_of(chunk, labels[rows.start : rows.stop], embedder), list(chunk.known_errors().values())
        return
    identity = {"embedder": embedder.facts(), "metadata": _metadata_digest(images), **row_jobs.identity_of(images)}
    shared, accept = (replace(embedder), images, labels), row_jobs.adopting_reasons(images)
    results = runner.results(_enrolment_job, shared, ranges, identity, "Enrolling", accept)
    for rows, result in zip(ranges, results, strict=True):
        ready = Rows(**{**result, "embeddings": torch.from_numpy(result["embeddings"])})
        yield ready, list(row_jobs.part_of(images, rows).known_errors().values())


def _metadata_digest(images: Images) -> str:
    """SHA-256, in hexadecimal digits, of what is enrolled besides contents, labels and names."""
    digest = hashlib.sha256()
    for name, column in [("", images.origins), *sorted(images.groups.items())]:
        digest.update("".join(f"{value}\0" for value in [name, *column.tolist()]).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _enrolment_job(shared: tuple[Embedder, Images, list[str]], rows: range) -> row_jobs.Result:
    embedder, images, labels = shared
    part = row_jobs.part_of(images, rows)
    ready = _rows_of(part, labels[rows.start : rows.stop], embedder)
    return {**vars(ready), "embeddings": ready.embeddings.numpy(), "reasons": row_jobs.reasons_of(part)}


def _rows_of(chunk: Images, labels: list[str], embedder: Embedder) -> Rows:
    thumbnails: dict[int, bytes] = {}
    with chunk.store.observed(partial(_keep_thumbnail, thumbnails)):
        embeddings = torch.cat(list(embedder.batches(chunk)))
    return _rows(chunk, labels, embeddings, thumbnails)


def _keep_thumbnail(thumbnails: dict[int, bytes], row: int, picture: Image.Image) -> None:
    thumbnails[row] = thumbnail(picture)


def _rows(chunk: Images, labels: list[str], embeddings: Tensor, thumbnails: dict[int, bytes]) -> Rows:
    readable = (~embeddings.isnan().any(1)).nonzero()[:, 0].tolist()
    for row in readable:
        if row not in thumbnails:  # its embedding was known
            thumbnails[row] = thumbnail(Image.fromarray(chunk.picture(row)))
    paths = [_absolute(path) for path in chunk.paths.tolist()]
    metadata = {name: [_text(value) for value in column.tolist()] for name, column in chunk.groups.items()}
    rows = Rows(
        ids_of(chunk.store.content_digests()),
        labels,
        paths,
        known_origins(chunk).tolist(),
        [mark_if(thumbnails.get(row, b""), generated_facts(chunk, row)) for row in range(len(chunk))],
        embeddings,
        metadata,
    )
    return rows[readable]


def ids_of(digests: NDArray[np.uint64]) -> list[str]:
    """The ids of pictures in a gallery: the digests of their contents, as 16 hexadecimal digits."""
    return [f"{digest:016x}" for digest in digests.tolist()]


def thumbnail(picture: Image.Image) -> bytes:
    """A small JPEG of a picture."""
    small = picture.convert("RGB")
    small.thumbnail((THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=THUMBNAIL_QUALITY)
    return buffer.getvalue()


def single_labels(images: Images) -> list[str]:
    """The label of each picture, by name.

    Raises
    ------
    DataError
        A picture has no label, or several.
    """
    names = label_names(images.labels, images.classes)
    odd = next((row for row, labels in enumerate(names) if len(labels) != 1), None)
    if odd is not None:
        count = "no label" if not names[odd] else "several labels"
        raise DataError(
            f"{images.paths[odd]} has {count}. A picture is enrolled under one: put pictures into folders named by "
            "their labels, or give one for all with --as."
        )
    return [labels[0] for labels in names]


def _absolute(path: str) -> str:
    """A file's path from the root, so that it is found from other folders too; other names stay."""
    return str(Path(path).absolute()) if Path(path).is_file() else path


def _text(value: Any) -> str:
    return "" if value is None or value != value else str(value)
