"""How a gallery is stored: ``model.json`` says which table is the gallery's, with which embedder and adapter.

Pictures are appended to the table by batches. Whatever changes every vector (an adapter, another backbone), and a
removal, which has to erase, writes a new table beside the old one; the switch is ``model.json``, and only then the old
table is deleted.
"""

import secrets
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from filelock import FileLock
from torch import Tensor, nn

from diptych import artefact
from diptych.artefact import Artefact
from diptych.data.sources.base import ORIGINS
from diptych.recognition.gallery.adapter import Adapter
from diptych.recognition.gallery.labelled_vectors import LabelledVectors
from diptych.recognition.gallery.search import Search
from diptych.recognition.gallery.source import EmbeddingSource
from diptych.recognition.gallery.table import (
    KIND,
    MAX_EXACT_ROWS,
    PictureTable,
    database_uri,
    matrix,
    one_of,
    vector_array,
)
from diptych.recognition.gallery.thresholds import Calibration, check_facts
from diptych.stored_networks import check_tensors, damaged_weights

if TYPE_CHECKING:
    import pyarrow as pa

MAX_WAIT_SECONDS = 600.0  # for another process that is writing


class GalleryFiles:
    """The folder of a gallery and what is in it, as of the last look.

    Parameters
    ----------
    folder
        Its path.
    source
        What embeds pictures.
    url
        Of the folder of the table; ``None``: it is in the gallery's folder.

    Attributes
    ----------
    in_turn
        To be held by threads that match at the same time, while they look at the table.
    """

    def __init__(self, folder: Path, source: EmbeddingSource, url: str | None) -> None:
        self.folder, self.source, self.url = folder, source, url
        self.in_turn, self._facts_at = threading.Lock(), 0
        self.adapter: Adapter | None = None
        self.calibration = Calibration(0, 0)
        self._table_name = _next_name(f"pictures-{secrets.token_hex(8)}-0")
        self.save()
        self._connect()

    @classmethod
    def read(cls, saved: Artefact, network: type[nn.Module] | None = None) -> "GalleryFiles":
        """Those of an artefact.

        Raises
        ------
        ArtefactError
            They are damaged, or the weights have changed.
        """
        check_facts(saved.folder, saved.facts)
        files = cls.__new__(cls)
        files.folder, files.in_turn = saved.folder, threading.Lock()
        files._facts_at = 0  # the first look reads them again, whatever has changed since they were read
        files._adopt(saved, EmbeddingSource.of_gallery(saved, network))
        files._connect()
        return files

    def _adopt(self, saved: Artefact, source: EmbeddingSource) -> None:
        self.source, self.url = source, saved.facts["table"]["url"]
        sides = (source.embedder.dimensions,) * 2
        adapter = {"projection": torch.zeros(sides), "centre": torch.zeros(sides[:1])} if saved.weights else {}
        check_tensors(adapter, saved.weights, saved)
        if adapter.keys() != saved.weights.keys():
            raise damaged_weights(saved, "they are not those of a gallery's adapter")
        self.adapter = Adapter.of_tensors(saved.weights, saved.facts["adapter_labels"])
        self.calibration = Calibration.of_json(saved.facts["calibration"])
        self._table_name = saved.facts["table"]["name"]

    def _connect(self) -> None:
        self.table = self._open_table(self._table_name, self.source, self.adapter)
        self.search = Search(self.table, MAX_EXACT_ROWS)

    def _open_table(self, name: str, source: EmbeddingSource, adapter: Adapter | None) -> PictureTable:
        searched = None if adapter is None else len(adapter.projection)
        uri, dimensions = database_uri(self.folder, self.url), source.embedder.dimensions
        new = name != self._table_name or not self.calibration.pictures  # without its first table after a kill
        return PictureTable(uri, name, dimensions, searched, may_be_new=new)

    def _modified(self) -> int:
        return artefact.path_of(self.folder, "model.json").stat().st_mtime_ns

    def refresh(self) -> None:
        """See what other processes have changed."""
        modified = self._modified()  # before they are read: a later change is seen at the next look
        if modified != self._facts_at:
            saved, name = artefact.read(self.folder, KIND), self._table_name
            check_facts(saved.folder, saved.facts)
            same = saved.facts["embedder"] == self.source.embedder.facts()
            self._adopt(saved, self.source if same else EmbeddingSource.of_gallery(saved))
            self._facts_at = modified
            if self._table_name != name:
                self._connect()
        self.table.refresh()

    def locked(self) -> FileLock:
        """A block in which no other process writes to the gallery."""
        return FileLock(self.folder / ".lock", timeout=MAX_WAIT_SECONDS)

    def save(self) -> None:
        """Write ``model.json`` and the weights, atomically."""
        facts = {
            "kind": KIND,
            "parameters": {},
            **self.source.facts(),
            "table": {"url": self.url, "name": self._table_name},
            "calibration": self.calibration.json(),
            "adapter_labels": [] if self.adapter is None else list(self.adapter.labels),
        }
        tensors = {} if self.adapter is None else self.adapter.tensors()
        artefact.write(self.folder, facts, tensors, extra_files=self.source.files())
        self._facts_at = self._modified()

    def vectors(self, embeddings: Tensor) -> Tensor:
        """(N, d) what is searched for (N, D) embeddings: adapted, where there is an adapter."""
        return embeddings if self.adapter is None else self.adapter(embeddings)

    def contents(self) -> LabelledVectors:
        """The embeddings of the real pictures, as they were before any adapter: what a gallery is measured on."""
        parts, labels, paths = [torch.empty(0, self.source.embedder.dimensions)], [], []
        for batch in self.table.scan(["label", "path", "embedding"], one_of("origin", ORIGINS[:1])):
            labels += batch.column("label").to_pylist()
            paths += batch.column("path").to_pylist()
            parts.append(torch.from_numpy(matrix(batch.column("embedding"))))
        return LabelledVectors.of(torch.cat(parts), labels, paths)

    def rewrite(
        self,
        source: EmbeddingSource,
        adapter: Adapter | None,
        embed: Callable[["pa.RecordBatch"], Tensor] | None = None,
        where: str | None = None,
    ) -> None:
        """Write the rows, or those that a condition picks, to a new table, and switch to it.

        Parameters
        ----------
        embed
            Gives new embeddings (n, D) of n rows; ``None``: they stay.
        """
        name, old = _next_name(self._table_name), self.table
        new = self._open_table(name, source, adapter)
        try:
            for batch in old.scan(old.columns, where):
                embeddings = torch.from_numpy(matrix(batch.column("embedding"))) if embed is None else embed(batch)
                new.add(with_vectors(batch, embeddings, adapter))
        except BaseException:
            new.drop()
            raise
        self.source, self.adapter, self._table_name = source, adapter, name
        self.save()
        self._connect()
        self.table.drop_others(_own(name))


def with_vectors(rows: "pa.RecordBatch", embeddings: Tensor, adapter: Adapter | None) -> "pa.Table":
    """The rows with other embeddings (n, D), and with what the adapter makes of them."""
    import pyarrow as pa

    kept = {name: rows.column(name) for name in rows.schema.names if name not in ("embedding", "vector")}
    adapted = {} if adapter is None else {"vector": vector_array(adapter(embeddings))}
    return pa.table({**kept, "embedding": vector_array(embeddings), **adapted})


def _own(name: str) -> str:
    """What the names of all tables of one gallery begin with: others may lie beside them on an object store."""
    return name.rpartition("-")[0]


def _next_name(name: str) -> str:
    return f"{_own(name)}-{secrets.token_hex(4)}"
