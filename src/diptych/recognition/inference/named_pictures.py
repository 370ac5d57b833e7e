"""Pictures that a model names, opened again only where their contents are those that it was trained on.

Names are as they were typed, from the working directory of the training. Another project may have other pictures under
the same names, and a file may have changed since: a digest of the content decides (see
:mod:`diptych.data.training_digests`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diptych import artefact
from diptych.data.images import Images
from diptych.data.sources.builtin import BUILT_IN
from diptych.data.sources.files import is_url
from diptych.data.training_digests import Digests, digests_text, read_digests
from diptych.errors import DataError


@dataclass(frozen=True)
class NamedPictures:
    """Names and contents of pictures.

    Attributes
    ----------
    names
        As ``Images.paths`` had them: paths, "pets.parquet#17", "digits#3".
    digests
        (N,) of their contents; 0 where it is not known.
    folder
        The working directory that relative paths start from; "": not known.
    """

    names: tuple[str, ...]
    digests: Digests
    folder: str

    @classmethod
    def of(cls, images: Images) -> "NamedPictures":
        """Name these pictures, from the working directory of this process."""
        return cls(tuple(images.paths.tolist()), images.store.content_digests(), str(Path.cwd()))

    @classmethod
    def read(cls, names: Sequence[str], digests: str | None, data: Mapping[str, Any]) -> "NamedPictures":
        """As ``data.json`` has them; an earlier version saved no digests, so that none of the files is certain."""
        known = np.zeros(len(names), np.uint64) if digests is None else read_digests(digests)
        return cls(tuple(names), known, str(data.get("folder", "")))

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, rows: NDArray[Any] | slice) -> "NamedPictures":
        """A subset, by row."""
        return replace(self, names=tuple(np.array(self.names, object)[rows]), digests=self.digests[rows])

    def digests_text(self) -> str:
        """The digests as :meth:`read` takes them."""
        return digests_text(self.digests)

    def paths(self) -> list[str]:
        """Where the pictures are, seen from the working directory of this process."""
        if not self.folder or Path(self.folder) == Path.cwd():
            return list(self.names)
        return [name if _is_no_path(name) else str(Path(self.folder, name)) for name in self.names]

    def existing(self) -> list[Images]:
        """The pictures that are still there with the same contents, as one set or several, unlabelled."""
        wanted = dict(zip(self.paths(), self.digests.tolist(), strict=True))
        existing = []
        for images in _opened(list(wanted)):
            digests = images.store.content_digests()
            known = np.array([wanted.get(path, 0) for path in images.paths.tolist()], np.uint64)
            same = (digests == known) & (known > 0)
            existing += [images[same]] if same.any() else []
        return existing

    def by_row(self, rows: Iterable[int]) -> dict[int, Images]:
        """Those of these rows that are still there, as sets of one picture; each file of many is opened once."""
        wanted = sorted(set(rows))
        part = self[np.array(wanted, np.int64)]
        row_of = dict(zip(part.paths(), wanted, strict=True))
        pictures: dict[int, Images] = {}
        for images in part.existing():
            pictures |= {row_of[path]: images[[i]] for i, path in enumerate(images.paths.tolist())}
        return pictures


def _is_no_path(name: str) -> bool:
    return is_url(name) or name.rpartition("#")[0] in (*BUILT_IN, "array")


def _opened(paths: Sequence[str]) -> Iterator[Images]:
    """The pictures of these paths: those in files of their own, then those of each file of many that is there."""
    files = [path for path in paths if Path(path).is_file()]
    if files:
        yield Images.of_files(files)
    sources: dict[str, list[str]] = {}
    for path in sorted(set(paths) - set(files)):
        sources.setdefault(path.rpartition("#")[0], []).append(path)
    for source, members in sources.items():
        if not source or artefact.exists(source):  # the samples of a model have names such as flow#17
            continue
        if source == "digits" or (source not in BUILT_IN and Path(source).exists()):
            try:
                images = Images.open(source, labels="none")
            except DataError:
                continue
            yield images[np.flatnonzero(np.isin(images.paths, members))]
