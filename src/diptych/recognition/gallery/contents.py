"""What is in a gallery: labels renamed, merged, reassigned and removed; pictures embedded again."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diptych.data.images import Images
from diptych.data.messages import join_names
from diptych.errors import DataError, UsageError
from diptych.progress import Bar
from diptych.recognition.gallery.calibration import calibrate
from diptych.recognition.gallery.export import export_table
from diptych.recognition.gallery.source import EmbeddingSource
from diptych.recognition.gallery.storage import GalleryFiles
from diptych.recognition.gallery.table import matrix, metadata_column, one_of
from diptych.recognition.inference.embedder import Embedder
from diptych.recognition.networks import Network
from diptych.recognition.recognizer import Recognizer

GROWTH = 0.1  # of the pictures, after which thresholds are measured again


class Contents:
    """The pictures of a gallery and their labels; see :class:`diptych.recognition.gallery.gallery.Gallery`."""

    _files: GalleryFiles

    @property
    def folder(self) -> Path:
        """Where it is."""
        return self._files.folder

    def __len__(self) -> int:
        self._files.refresh()
        return len(self._files.table)

    @property
    def labels(self) -> dict[str, int]:
        """Pictures of each label, in alphabetical order."""
        self._files.refresh()
        names = [name for batch in self._files.table.scan(["label"]) for name in batch.column("label").to_pylist()]
        values, counts = np.unique(np.array(names, np.str_), return_counts=True)
        return dict(zip(values.tolist(), counts.tolist(), strict=True))

    def _labels_of(self, ids: Sequence[str]) -> dict[str, str]:
        """The labels of those pictures that are in the gallery, by id."""
        batches = self._files.table.scan(["id", "label"], one_of("id", ids))
        return {row["id"]: row["label"] for batch in batches for row in batch.to_pylist()}

    def _calibrate_if_due(self, changed: bool) -> None:
        """Measure the thresholds again, after many changes or where there were too few pictures."""
        files = self._files
        before = files.calibration
        if changed or before.labels < 2 or abs(len(files.table) - before.pictures) > GROWTH * before.pictures:
            files.calibration = calibrate(files.contents(), len(files.table), files.adapter)
            files.save()

    @property
    def network_(self) -> Network:
        """The network that embeds."""
        return self.embedder.network

    @property
    def embedder(self) -> Embedder:
        """What turns pictures into vectors."""
        return self._files.source.embedder

    def pictures(self, label: str) -> Iterator[dict[str, str]]:
        """The pictures of a label: id, label, path, origin and metadata of each.

        Raises
        ------
        UsageError
            There is no such label.
        """
        self._require_labels([label])
        table = self._files.table
        columns = ["id", "label", "path", "origin", *map(metadata_column, table.metadata_columns)]
        for batch in table.scan(columns, one_of("label", [label])):
            yield from batch.rename_columns(columns[:4] + table.metadata_columns).to_pylist()

    def searched(self) -> Iterator[tuple[list[dict[str, str]], NDArray[np.float32]]]:
        """Id, label, path and origin of all pictures, and the (n, d) vectors searched, some thousand at a time."""
        self._files.refresh()
        table, columns = self._files.table, ["id", "label", "path", "origin"]
        for batch in table.scan([*columns, table.vector_column]):
            yield batch.select(columns).to_pylist(), matrix(batch.column(table.vector_column))

    def thumbnails(self, ids: Sequence[str]) -> dict[str, bytes]:
        """The thumbnails of pictures, JPEG files, by their ids; those that are not in the gallery are left out."""
        self._files.refresh()
        batches = self._files.table.scan(["id", "thumbnail"], one_of("id", ids))
        rows = [row for batch in batches for row in batch.to_pylist()]
        return {row["id"]: row["thumbnail"] for row in rows if row["thumbnail"]}

    def export(self, path: str | Path) -> int:
        """Write all pictures to a .parquet file, or to .csv without thumbnails and vectors; returns how many.

        Raises
        ------
        UsageError
            The file's suffix is neither, or it cannot be written.
        """
        self._files.refresh()
        return export_table(self._files.table, Path(path))

    def rename(self, label: str, new: str) -> int:
        """Give a label another name, which no other has; returns the number of its pictures.

        Raises
        ------
        UsageError
            There is no such label, or the new one is there already.
        """
        if new in self.labels:
            raise UsageError(f"There is a label {new} already. To join the two: diptych gallery merge {label} {new}")
        return self.merge([label], new)

    def merge(self, labels: Sequence[str], into: str) -> int:
        """Join labels into one, which may be new; returns how many pictures it took over.

        Raises
        ------
        UsageError
            There is no such label.
        """
        self._require_labels(labels)
        return self._relabel(one_of("label", labels), into)

    def reassign(self, ids: Sequence[str], label: str) -> int:
        """Give pictures, by their ids, another label; returns how many.

        Raises
        ------
        UsageError
            There is no such picture.
        """
        self._require_ids(ids)
        return self._relabel(one_of("id", ids), label)

    def _relabel(self, condition: str, label: str) -> int:
        if not label.strip():
            raise UsageError("A label needs a name.")
        with self._files.locked():
            self._files.refresh()
            changed = self._files.table.update(condition, label)
            self._calibrate_if_due(changed=True)
        return changed

    def remove(self, labels: Sequence[str] = (), ids: Sequence[str] = ()) -> int:
        """Remove pictures, by their labels or their ids, from the disk too; returns how many.

        Raises
        ------
        UsageError
            There is no such label or picture.
        """
        self._require_labels(labels)
        self._require_ids(ids)
        with self._files.locked():
            self._files.refresh()
            before, condition = len(self._files.table), f"{one_of('label', labels)} OR {one_of('id', ids)}"
            self._files.rewrite(self._files.source, self._files.adapter, where=f"NOT ({condition})")
            self._calibrate_if_due(changed=False)
        return before - len(self._files.table)

    def _require_labels(self, labels: Sequence[str]) -> None:
        known = self.labels
        for label in labels:
            if label not in known:
                raise UsageError(f"The gallery has no label {label}. Its labels are: {join_names(list(known), 12)}.")

    def _require_ids(self, ids: Sequence[str]) -> None:
        missing = set(ids) - set(self._labels_of(ids)) if ids else set()
        if missing:
            raise UsageError(
                f"The gallery has no picture {sorted(missing)[0]}. See: diptych gallery list {self.folder}"
            )

    def rebuild(self, embedder: Recognizer | str | Path) -> Self:
        """Embed all pictures again with another embedder, from their files; the adapter is dropped.

        Raises
        ------
        DataError
            Files of pictures are no longer there. Nothing is changed.
        """
        source = EmbeddingSource.of(embedder)
        with self._files.locked():
            self._files.refresh()
            with Bar("Embedding", len(self._files.table)) as bar:
                self._files.rewrite(source, None, lambda rows: self._embedded(source, rows, bar))
            self._calibrate_if_due(changed=True)
        return self

    def _embedded(self, source: EmbeddingSource, rows: Any, bar: Bar) -> Tensor:
        paths = rows.column("path").to_pylist()
        missing = [path for path in paths if not Path(path).is_file()]
        if missing:
            raise DataError(
                f"{join_names(missing)} cannot be read any more, so the gallery stays as it is. Put the files back, or "
                "remove these pictures from the gallery first."
            )
        images = Images.of_files(paths)
        embeddings = torch.cat(list(source.embedder.batches(images)))
        for error in images.known_errors().values():
            raise error
        bar.advance(len(paths))
        return embeddings
