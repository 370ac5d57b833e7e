"""Images: the pictures a person has, with what is known about them. Immutable and lazy."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from diptych.data import resources, store
from diptych.data.decode import Geometry
from diptych.data.sources import Source, open_files, open_source
from diptych.data.sources.arrays import from_arrays
from diptych.data.sources.base import ORIGINS, join_names
from diptych.data.sources.files import LocalFiles
from diptych.errors import DataError, PictureError

if TYPE_CHECKING:
    import torch

    from diptych.report import Report

log = logging.getLogger("diptych")


class Images:
    """An ordered set of pictures: uint8 RGB, HWC, 0..255, decoded when they are asked for.

    Attributes
    ----------
    classes
        Class names. Two sets are matched by these names, never by position.
    labels
        (N,) int64 class numbers, -1 where unlabelled; or (N, K) bool where a picture may have several labels.
    groups
        Further columns about the pictures, (N,) each, by name.
    origins
        (N,) "real", "synthetic" (made by a model), or "composite" (part real and part made).
    paths
        (N,) a name for each picture: its path, "pets.parquet#17", "digits#3", "array#5". Safe to print.
    skipped
        What was found but is no picture or cannot be read, as far as is known.
    """

    classes: tuple[str, ...]
    labels: NDArray[Any]
    groups: Mapping[str, NDArray[Any]]
    origins: NDArray[np.str_]
    paths: NDArray[np.str_]
    skipped: tuple[PictureError, ...]
    _sources: tuple[Source, ...]
    _place: store.Place
    _memory: dict[str, Any]

    def __init__(self, sources: Sequence[Source], place: store.Place, about: Mapping[str, Any]) -> None:
        """Not for people: use :meth:`open` or :meth:`from_arrays`."""
        held = {
            "classes": tuple(about["classes"]),
            "labels": _frozen(about["labels"]),
            "groups": MappingProxyType({name: _frozen(column) for name, column in about["groups"].items()}),
            "origins": _frozen(about["origins"]),
            "paths": _frozen(about["paths"]),
            "skipped": tuple(about["skipped"]),
            "_sources": tuple(sources),
            "_place": place,
            "_memory": {},  # what was found out about exactly these pictures, such as their near-duplicates
        }
        self.__dict__.update(held)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("Images cannot be changed; make new ones by indexing, + or relabel.")

    @classmethod
    def open(cls, path: str | Path) -> "Images":
        """Open pictures where they are; nothing is decoded yet.

        Parameters
        ----------
        path
            A folder of class folders, a folder with metadata.csv or metadata.jsonl, a folder of loose pictures,
            one picture; Parquet, .npz or .tar files (one, a folder, a pattern such as ``pets-*.parquet`` or
            ``pets-{000..004}.tar``), a .zip of any of these, or any of these behind an fsspec URL; or the name
            of a built-in set: "digits", "cifar10". An existing path of that name wins.

        Raises
        ------
        DataError
            If nothing is there, or nothing in it is a picture.
        """
        return _of(open_source(path))

    @classmethod
    def of_files(cls, paths: Iterable[str | Path]) -> "Images":
        """Take pictures named one by one, unlabelled and in that order.

        One that cannot be read, or is not there, keeps its row: :meth:`readable` leaves it out and says why.
        """
        return _of(open_files(LocalFiles(""), [str(path) for path in paths]))

    @classmethod
    def from_arrays(
        cls,
        pixels: Any,
        labels: Any = None,
        *,
        classes: Sequence[str] = (),
        groups: Mapping[str, Any] | None = None,
        origins: Any = None,
        paths: Sequence[str] | None = None,
    ) -> "Images":
        """Make images of pixels in memory.

        Parameters
        ----------
        pixels
            (N, H, W, 3) uint8; or grey (N, H, W), RGBA (laid on white), CHW; or floats in 0..1; or a list of
            pictures of different sizes.
        labels
            (N,) numbers into ``classes`` (-1: unlabelled), (N,) names, or (N, K) of 0 and 1. None: unlabelled.
        classes
            Class names. Empty: the labels name themselves, so that 3 and 7 become the classes "3" and "7".
        groups
            Columns (N,) by name.
        origins
            "real", "synthetic", "composite", or one of them for each picture. None: real.
        paths
            A name for each picture. None: "array#0", "array#1", …

        Raises
        ------
        DataError
            If shapes, ranges or names do not fit together.
        """
        options: dict[str, Any] = {"classes": classes, "groups": groups, "origins": origins, "paths": paths}
        return _of(from_arrays(pixels, labels, **options))

    @property
    def multi_label(self) -> bool:
        """Whether a picture may have several labels."""
        return self.labels.ndim == 2

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        kinds = f"{len(self.classes)} classes" if self.classes else "unlabelled"
        return f"<Images: {len(self)} pictures, {kinds}>"

    def __getitem__(self, rows: Any) -> "Images":
        """Some of the pictures: by a slice, a mask or indices, in the order given. They share what is decoded."""
        if not isinstance(rows, slice):
            rows = np.asarray(rows)
            rows = rows if rows.size else rows.astype(np.int64)  # [] has no type of its own
        chosen = np.atleast_1d(np.arange(len(self))[rows]).astype(np.int64)
        some = {name: getattr(self, name)[chosen] for name in ("labels", "origins", "paths")}
        groups = {name: column[chosen] for name, column in self.groups.items()}
        return Images(self._sources, self._place[chosen], {**self._about(), **some, "groups": groups})

    def __add__(self, other: "Images") -> "Images":
        """Both sets, one behind the other; classes are matched by name, and new ones come last."""
        from diptych.data.combine import concatenate

        return concatenate(self, other)

    def relabel(self, classes: Sequence[str]) -> "Images":
        """Express the labels in another order of classes, matched by name.

        Raises
        ------
        DataError
            If a picture has a class that is not among them.
        """
        from diptych.data.combine import reorder_classes

        return reorder_classes(self, classes)

    def counts(self) -> dict[str, int]:
        """Pictures of each class, also of those that have none."""
        if self.multi_label:
            totals = self.labels.sum(0)
        else:
            totals = np.bincount(self.labels[self.labels >= 0], minlength=len(self.classes))
        return {name: int(total) for name, total in zip(self.classes, totals, strict=True)}

    def picture(self, i: int, size: int | None = None) -> NDArray[np.uint8]:
        """Decode one picture: (H, W, 3) uint8, at its own size, or squashed to ``size`` pixels a side.

        Raises
        ------
        PictureError
            If it cannot be read.
        """
        source, row = self._place[i].one()
        decoded = self._sources[source].decoded
        return decoded.whole(row) if size is None else decoded.one(row, size, "squash")

    def pixels(self, size: int, geometry: Geometry = "squash") -> "torch.Tensor":
        """Decode every picture: (N, 3, size, size) uint8. Done once and kept; to be read, not written to.

        Parameters
        ----------
        size
            Pixels a side.
        geometry
            "squash": the whole picture, resized. "crop": its largest centred square, resized.

        Raises
        ------
        DataError
            If a picture cannot be read; :meth:`readable` leaves those out.
        """
        import torch

        errors = store.fill(self._sources, self._place, size, geometry)
        if errors:
            reasons = join_names([str(error) for error in errors.values()])
            raise DataError(
                f"{len(errors)} of {len(self)} pictures cannot be read: {reasons}. "
                "Remove them, or leave them out with readable()."
            )
        return torch.from_numpy(store.gather(self._sources, self._place, size, geometry))

    def readable(self, size: int, geometry: Geometry = "squash") -> "Images":
        """Leave out the pictures that cannot be decoded, and name them in ``skipped``.

        What is decoded on the way is kept if it fits in memory, so that :meth:`pixels` need not do it again.
        """
        errors = self.unreadable(size, geometry)
        if not errors:
            return self
        reasons = join_names([str(error) for error in errors.values()])
        log.warning("%d pictures cannot be read and are left out: %s.", len(errors), reasons)
        keep = np.ones(len(self), bool)
        keep[list(errors)] = False
        kept = self[keep]
        known = {str(error) for error in self.skipped}
        more = tuple(error for error in errors.values() if str(error) not in known)
        return Images(self._sources, kept._place, {**kept._about(), "skipped": self.skipped + more})

    def unreadable(self, size: int, geometry: Geometry = "squash") -> dict[int, PictureError]:
        """Decode every picture, and say which rows cannot be, and why; see :meth:`readable`."""
        work = store.fill if self.fits_in_memory(size) else store.check
        return work(self._sources, self._place, size, geometry)

    def known_errors(self) -> dict[int, PictureError]:
        """Say which rows have been found unreadable so far, and why; decodes nothing."""
        return store.errors(self._sources, self._place)

    def batches(self, size: int, geometry: Geometry, batches: Iterable[NDArray[np.int64]]) -> Iterator["torch.Tensor"]:
        """Decode batch after batch, ahead of their use and in order, in bounded memory.

        Parameters
        ----------
        batches
            Row numbers of each batch; may go on for ever.

        Yields
        ------
        (B, 3, size, size) uint8 for each batch, the same values as :meth:`pixels` has.
        """
        import torch

        for block in store.stream(self._sources, self._place, size, geometry, batches):
            yield torch.from_numpy(block)

    def decoded_batches(self, size: int, geometry: Geometry = "squash", batch: int = 8) -> Iterator[store.Batch]:
        """Decode every picture once, in order, ahead of its use and in bounded memory; nothing is kept.

        Yields
        ------
        (B, 3, size, size) uint8, as :meth:`pixels` has them, and (B,) bool: which of them could be read.
        """
        return store.decoded_batches(self._sources, self._place, size, geometry, batch)

    def fits_in_memory(self, size: int) -> bool:
        """Whether all pixels at this size take at most a quarter of the memory that is free."""
        return len(self) * 3 * size * size <= resources.free_bytes() // 4

    def dimensions(self) -> NDArray[np.int64]:
        """(N, 2) width and height of each picture when upright, from its header; (0, 0) if unreadable."""
        return store.dimensions(self._sources, self._place)

    def split(self, *shares: float, seed: int = 0) -> tuple["Images", ...]:
        """Split into parts of these shares, stratified by class; near-duplicates stay on one side.

        See :func:`diptych.data.splits.split`.
        """
        from diptych.data.splits import split

        return tuple(self[rows] for rows in split(self, shares, seed))

    def inspect(self) -> "Report":
        """Look for what would spoil training; see :func:`diptych.data.inspection.inspect.inspect`."""
        from diptych.data.inspection.inspect import inspect

        return inspect(self)

    def save(self, path: str | Path) -> Path:
        """Write the pictures: a folder of class folders of PNG, or an .npz or .parquet file.

        See :func:`diptych.data.writers.save`.
        """
        from diptych.data.writers import save

        return save(self, Path(path))

    def fingerprint(self) -> str:
        """SHA-256 over classes, labels, parts and what tells the pictures apart: the same data, the same string."""
        digest = sha256("\0".join(self.classes).encode("utf-8", "surrogateescape"))
        digest.update(np.ascontiguousarray(self.labels).tobytes())
        if "split" in self.groups:
            digest.update("\0".join(self.groups["split"].astype(np.str_)).encode("utf-8", "surrogateescape"))
        for source, row in self._place.pairs():
            digest.update(self._sources[source].identity(row))
        return digest.hexdigest()

    def _about(self) -> dict[str, Any]:
        names = ("classes", "labels", "groups", "origins", "paths", "skipped")
        return {name: getattr(self, name) for name in names}


def _of(source: Source) -> Images:
    rows, n = source.rows, len(source)
    origins = np.full(n, "real") if rows.origins is None else np.asarray(rows.origins, dtype=np.str_)
    if not set(np.unique(origins).tolist()) <= set(ORIGINS):
        raise DataError('The origin of a picture is "real", "synthetic" or "composite".')
    about = {
        "classes": rows.classes,
        "labels": rows.labels,
        "groups": rows.groups,
        "origins": origins,
        "paths": np.asarray(rows.paths, dtype=np.str_),
        "skipped": rows.skipped,
    }
    return Images((source,), store.Place.whole(n), about)


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    """A view that cannot be written to."""
    view = np.asarray(array).view()
    view.flags.writeable = False
    return view
