"""``Gallery``: labelled pictures in an embedding database; labels come and go without training."""

import shutil
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from diptych import artefact
from diptych.artefact import Artefact
from diptych.data.images import Images, ImagesLike
from diptych.data.messages import counted
from diptych.data.provenance import refuse_generated
from diptych.engine.row_jobs import ROWS_PER_JOB
from diptych.errors import DataError, UsageError
from diptych.progress import Bar
from diptych.recognition.gallery.adaptation import try_adapter
from diptych.recognition.gallery.contents import Contents
from diptych.recognition.gallery.enrolment import Enrolment, Rows, ids_of, rows_of
from diptych.recognition.gallery.evaluation import PAIR_FAR, evaluation_report
from diptych.recognition.gallery.matches import Matches, PairMatch, matches_of
from diptych.recognition.gallery.source import EmbeddingSource
from diptych.recognition.gallery.storage import GalleryFiles
from diptych.recognition.gallery.table import KIND, MAX_EXACT_ROWS, Filter
from diptych.recognition.gallery.thresholds import MATCH_FAR, Threshold, check_options
from diptych.recognition.gallery.voting import NEIGHBOURS
from diptych.recognition.inference.embedder import Embedder
from diptych.recognition.recognizer import Recognizer
from diptych.report import Report


class Gallery(Contents):
    """A database of labelled pictures, in which a picture is matched with the nearest ones.

    Parameters
    ----------
    embedder
        What turns pictures into vectors: a backbone's name, a recognizer, or its folder; ``None``: that of the gallery
        which is in the folder, or lite0.
    store
        The folder of the gallery, made where it is not there; ``None``: a temporary one, gone with this object.
    table
        The URL of a folder on an object store for the table of pictures, ``s3://bucket/folder``; ``None``: it is in
        the gallery's folder.

    Attributes
    ----------
    enrolment_
        What the last :meth:`enroll` did.

    Raises
    ------
    UsageError
        There is no such embedder, or the gallery in the folder has another one; or LanceDB is not installed.
    """

    def __init__(
        self,
        embedder: Recognizer | str | Path | None = None,
        store: str | Path | None = None,
        *,
        table: str | None = None,
    ) -> None:
        folder = Path(tempfile.mkdtemp(prefix="diptych-") if store is None else store)
        if store is None:
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self.enrolment_ = Enrolment()
        if not artefact.exists(folder):
            self._files = GalleryFiles(folder, EmbeddingSource.of(embedder or "lite0"), table)
            return
        self._files = GalleryFiles.read(artefact.read(folder, KIND))
        if embedder is not None:
            self._require_same(EmbeddingSource.of(embedder))

    @classmethod
    def from_artefact(cls, saved: Artefact, network: type[nn.Module] | None = None) -> Self:
        """The gallery of a folder; ``network`` is the class of its recognizer's network, if that is a custom one."""
        gallery = cls.__new__(cls)
        gallery.enrolment_ = Enrolment()
        gallery._files = GalleryFiles.read(saved, network)
        return gallery

    def _require_same(self, source: EmbeddingSource) -> None:
        known = self._files.source.embedder
        if source.embedder.sha256 != known.sha256:
            raise UsageError(
                f"The pictures in {self.folder} were embedded with {known.name}, whose vectors cannot be compared with "
                f"those of {source.embedder.name}. Name another folder, or embed them again: diptych gallery rebuild "
                f"{self.folder} --recognizer …"
            )

    def __repr__(self) -> str:
        name = self._files.source.embedder.name
        return f"<Gallery: {counted(len(self), 'picture')}, {counted(len(self.labels), 'label')}, {name}>"

    def match(
        self, images: ImagesLike, *, k: int = NEIGHBOURS, where: Filter | None = None, far: float = MATCH_FAR
    ) -> Matches:
        """Match pictures with the nearest enrolled ones.

        Parameters
        ----------
        k
            How many nearest pictures vote and are named.
        where
            Only pictures with these values: ``{"label": ["cat", "dog"], "year": "2020"}``; columns of metadata, label,
            path, origin and id.
        far
            The false-accept rate, 0..1, that the threshold for "unknown" keeps: so often a thing that is not in the
            gallery is taken for one that is, measured on the enrolled pictures. Of the rates that can be measured the
            largest up to it.

        Raises
        ------
        UsageError
            ``k`` or ``far`` is out of range, or there is no such column.
        """
        check_options(k, far)
        pictures = Images.of(images)
        return self._matches(pictures, self._vectors(pictures), k, where, far)

    def _vectors(self, pictures: Images) -> Tensor:
        """(N, d) as they are searched; NaN for a picture that cannot be read."""
        files = self._files
        empty = torch.empty(0, files.source.embedder.dimensions)
        embeddings = torch.cat([empty, *files.source.embedder.batches(pictures)])
        with files.in_turn:
            files.refresh()
            return files.vectors(embeddings)

    def _matches(self, pictures: Images, vectors: Tensor, k: int, where: Filter | None, far: float) -> Matches:
        files = self._files
        with files.in_turn:
            neighbours = files.search.nearest(vectors.nan_to_num(), k, where)
        threshold = files.calibration.unknown_threshold(far)
        return matches_of(pictures, neighbours, files.calibration.sharpness, threshold.value if threshold else 0.0)

    def match_threshold(self, far: float = MATCH_FAR) -> Threshold | None:
        """What :meth:`match` calls unknown by, and what is known of it; ``None``: too few pictures to measure it on."""
        return self._files.calibration.unknown_threshold(far)

    def match_batches(self, images: ImagesLike, **options: Any) -> Iterator[Matches]:
        """As :meth:`match`, some hundred pictures at a time, in order."""
        pictures = Images.of(images)
        for start in range(0, len(pictures), ROWS_PER_JOB):
            yield self.match(pictures[start : start + ROWS_PER_JOB], **options)

    def match_pair(self, one: ImagesLike, other: ImagesLike, *, far: float = PAIR_FAR) -> PairMatch:
        """Do two pictures show the same thing? The threshold keeps the false-accept rate ``far``, 0..1.

        Raises
        ------
        UsageError
            ``far`` is out of range, or a side is not one picture.
        PictureError
            A picture cannot be read.
        DataError
            The gallery has too few pictures to measure the rate on.
        """
        check_options(1, far)
        first, second = self._vector(one), self._vector(other)
        threshold = self._files.calibration.pair_threshold(far)
        if threshold is None:
            raise DataError(
                f"The gallery has too few pictures to measure a false-accept rate of {far:.2%}: it takes two labels or "
                "more, with several pictures each. Enroll more, or allow a higher rate."
            )
        similarity = float(first @ second)
        return PairMatch(similarity, similarity >= threshold.value, threshold.value, threshold.far, threshold.tar)

    def evaluate(self, images: ImagesLike, labels: Any = None, *, unknown: ImagesLike | None = None) -> Report:
        """Measure how well labelled pictures are matched; those that are in the gallery are left out.

        Parameters
        ----------
        images, labels
            As :meth:`diptych.Images.of` takes them; of one label each.
        unknown
            Pictures of things that are not in the gallery: how many are taken for one that is?

        Raises
        ------
        DataError
            No picture is left, or one is generated, or has no label or several.
        """
        files = self._files
        given, others = Images.of(images, labels), None if unknown is None else Images.of(unknown)
        for pictures in (given, others):
            if pictures is not None:
                refuse_generated(pictures, "An evaluation")
        given = given.readable(files.source.embedder.size)
        files.refresh()
        ids = ids_of(given.store.content_digests())
        known = self._labels_of(ids)
        pictures = given[np.array([name not in known for name in ids], bool)]
        if not len(pictures):
            raise DataError("All of these pictures are in the gallery; evaluate it on others.")
        vectors = self._vectors(pictures)
        strange = None if others is None else self.match(others)
        matches = self._matches(pictures, vectors, NEIGHBOURS, None, MATCH_FAR)
        report = evaluation_report(
            pictures, vectors, matches, strange, files.calibration, adapted=files.adapter is not None
        )
        if known:
            report.findings.insert(
                0, f"{counted(len(known), 'picture is', 'pictures are')} in the gallery and left out."
            )
        return report

    def _vector(self, images: ImagesLike) -> Tensor:
        pictures = Images.of(images)
        if len(pictures) != 1:
            raise UsageError(f"A pair is one picture and another one; one side has {len(pictures):,}.")
        vectors = self._vectors(pictures)
        for error in pictures.known_errors().values():
            raise error
        return vectors[0]

    def enroll(self, images: ImagesLike, labels: Any = None, *, adapt: bool = False) -> Self:
        """Add labelled pictures; a new label is known from then on, without training.

        Parameters
        ----------
        images, labels
            As :meth:`diptych.Images.of` takes them; of one label each. A picture that is in the gallery already stays
            as it is.
        adapt
            Learn the adapter from all enrolled pictures, and keep it if it is better on held-out ones.

        Raises
        ------
        DataError
            A picture has no label, or several; or another process has rebuilt the gallery with another network.
        """
        with self._files.locked():
            artefact.complete(self.folder)  # what a killed command has written anew and not moved to its place
        pictures, files, embedder = Images.of(images, labels), self._files, self.embedder
        self.enrolment_ = result = Enrolment()
        with Bar("Enrolling", len(pictures)) as bar:
            for rows, errors in rows_of(pictures, embedder):
                self._append(rows, embedder, result)
                result.unreadable += errors
                bar.advance(len(rows) + len(errors))
        with files.locked():
            files.refresh()
            files.table.tidy_if_due()
            if adapt:
                result.adapter = self._adapt()
            if len(files.table) > MAX_EXACT_ROWS:
                files.table.create_index()
            self._calibrate_if_due(adapt)
        return self

    def _append(self, rows: Rows, embedder: Embedder, result: Enrolment) -> None:
        """Write those of the rows that are not in the gallery; they are safe when this returns."""
        files = self._files
        with files.locked():
            files.refresh()
            if files.source.embedder is not embedder:
                raise DataError(f"{self.folder} was rebuilt with another network meanwhile. Enroll the rest again.")
            labels = self._labels_of(rows.ids)
            new = [row for row, name in enumerate(rows.ids) if name not in labels and name not in rows.ids[:row]]
            if new:
                files.table.add(rows[new].table(files.adapter))
        result.added += len(new)
        result.present += len(rows) - len(new)
        known = zip(rows.ids, rows.labels, rows.paths, strict=True)
        result.other_label += [path for name, label, path in known if labels.get(name, label) != label]

    def _adapt(self) -> str:
        """Learn the adapter anew, and keep it if it is better; returns what was found."""
        files = self._files
        trial = try_adapter(files.contents())
        if trial.adapter is not None or files.adapter is not None:
            files.rewrite(files.source, trial.adapter)
        return trial.sentence
