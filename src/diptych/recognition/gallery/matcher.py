"""``Matcher``: a gallery that is matched with vectors computed elsewhere. Nothing here imports torch."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diptych import artefact
from diptych.data.picture_set import PictureSet
from diptych.errors import ArtefactError
from diptych.recognition.gallery.matches import Matches, matches_of
from diptych.recognition.gallery.search import Search
from diptych.recognition.gallery.table import KIND, MAX_EXACT_ROWS, Filter, PictureTable, database_uri
from diptych.recognition.gallery.thresholds import MATCH_FAR, Calibration, check_facts, check_options
from diptych.recognition.gallery.voting import NEIGHBOURS

Vectors = NDArray[np.float32]


class Matcher:
    """The gallery in a folder, of which changes by other processes are seen; several threads may use it at once.

    Parameters
    ----------
    sha256
        Of the network that computes the vectors: it must be the one that the gallery's pictures were embedded with.
    dimensions
        Numbers in a vector.

    Raises
    ------
    ArtefactError
        There is no such gallery, or its pictures were embedded with another network.
    """

    def __init__(self, folder: Path, sha256: str, dimensions: int) -> None:
        self._folder, self._sha256, self._dimensions = folder, sha256, dimensions
        self._in_turn, self._modified, self._table_name = threading.Lock(), 0, ""
        self._refresh()

    def match(
        self,
        images: PictureSet,
        embeddings: Vectors,
        *,
        k: int = NEIGHBOURS,
        where: Filter | None = None,
        far: float = MATCH_FAR,
    ) -> Matches:
        """As :meth:`diptych.Gallery.match`; ``embeddings`` (N, D) have unit length, or NaN for unreadable pictures."""
        check_options(k, far)
        with self._in_turn:
            self._refresh()
            neighbours = self._search.nearest(np.nan_to_num(self._adapted(embeddings)), k, where)
            calibration = self._calibration
        threshold = calibration.unknown_threshold(far)
        return matches_of(images, neighbours, calibration.sharpness, threshold.value if threshold else 0.0)

    def _adapted(self, embeddings: Vectors) -> Vectors:
        """By the gallery's adapter: see :class:`diptych.recognition.gallery.adapter.Adapter`."""
        if not self._adapter:
            return embeddings
        mapped = (embeddings - self._adapter["centre"]) @ self._adapter["projection"].T
        return np.asarray(mapped / np.linalg.norm(mapped, axis=1, keepdims=True).clip(1e-12))

    def _refresh(self) -> None:
        """See what other processes have changed."""
        modified = artefact.path_of(self._folder, "model.json").stat().st_mtime_ns
        if modified == self._modified:
            return
        facts = artefact.facts(self._folder, KIND)
        check_facts(self._folder, facts)
        if facts["embedder"]["sha256"] != self._sha256:
            raise ArtefactError(f"The pictures in {self._folder} were embedded with another network.")
        self._adapter = artefact.arrays(self._folder, facts)
        self._calibration = Calibration.of_json(facts["calibration"])
        if facts["table"]["name"] != self._table_name:
            self._search = Search(self._open_table(facts["table"]), MAX_EXACT_ROWS)
            self._table_name = facts["table"]["name"]
        self._modified = modified

    def _open_table(self, table: dict[str, Any]) -> PictureTable:
        searched = len(self._adapter["projection"]) if self._adapter else None
        return PictureTable(database_uri(self._folder, table["url"]), table["name"], self._dimensions, searched)
