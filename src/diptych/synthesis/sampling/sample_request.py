"""The pictures that are asked of a model, their paths in a folder, and their files."""

import csv
import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diptych.data.writers import class_folder
from diptych.engine import row_jobs
from diptych.marks import Generated
from diptych.progress import Bar
from diptych.report import figures
from diptych.report.visible_label import with_visible_label
from diptych.synthesis.protocols import Label, SampledModel
from diptych.synthesis.sampling.sampling_jobs import identity_of

REQUEST_FILE, TABLE_FILE, GRID_FILE = "sample.json", "metadata.csv", "grid.png"


@dataclass(frozen=True)
class SampleRequest:
    """The pictures to sample from a model, and their paths in a folder.

    Attributes
    ----------
    model
        Fitted.
    number, label, seed
        As in :meth:`Synthesizer.sample`.
    folder
        That the pictures are written to.
    visible_label
        Whether "AI-generated" is written into a corner of each.
    """

    model: SampledModel
    number: int
    label: Label | None
    seed: int
    folder: Path
    visible_label: bool

    def facts(self) -> dict[str, Any]:
        """The identity of the request, whatever its number; JSON-able."""
        model = self.model
        return {
            **identity_of(model),
            "label": None if self.label is None else model.classes_[model.class_number(self.label)],
            "seed": self.seed,
            "visible_label": self.visible_label or None,
        }

    def seeds(self, rows: Sequence[int]) -> list[int]:
        """Of the pictures of these numbers."""
        return [self.seed + row for row in rows]

    def labels(self, rows: Sequence[int]) -> NDArray[np.int64]:
        """Of the pictures of these numbers."""
        return self.model.sample_labels(self.seeds(rows), self.label)

    def paths(self, rows: Sequence[int]) -> list[Path]:
        """Of the pictures of these numbers."""
        if self.label is not None or not self.model.classes_:
            return [self.folder / f"{row:06d}.png" for row in rows]
        names = [class_folder(name) for name in self.model.classes_]
        labels = self.labels(rows)
        return [self.folder / names[label] / f"{row:06d}.png" for row, label in zip(rows, labels, strict=True)]

    def marks(self, rows: Sequence[int]) -> list[Generated]:
        """What the pictures of these numbers are marked with."""
        facts, classes = self.model.generated_facts(), self.model.classes_
        return [
            replace(facts, settings={"seed": seed, **({"label": classes[label]} if classes else {})})
            for seed, label in zip(self.seeds(rows), self.labels(rows), strict=True)
        ]

    def wrote(self, path: Path) -> bool:
        """Whether a file in the folder is one that this request writes."""
        if path.parent == self.folder and path.name in (REQUEST_FILE, TABLE_FILE, GRID_FILE):
            return True
        number = int(path.stem) if path.stem.isdecimal() and path.stem.isascii() else self.number
        return number < self.number and self.paths([number]) == [path]

    def table_rows(self, rows: Sequence[int]) -> str:
        """What the table says of the pictures of these numbers: file, label and origin, which is synthetic."""
        classes, out = self.model.classes_, io.StringIO()
        table = csv.writer(out)
        for path, label in zip(self.paths(rows), self.labels(rows), strict=True):
            name = path.relative_to(self.folder).as_posix()
            table.writerow([name, classes[label] if classes else "", "synthetic"])
        return out.getvalue()


def encoding_job(request: SampleRequest, rows: range) -> row_jobs.Result:
    """The files of the pictures of these numbers, sampled by another machine."""
    with ThreadPoolExecutor(1) as pool:
        return {"pictures": encoded(request, rows, pool)}


def encoded(
    request: SampleRequest, rows: Sequence[int], pool: ThreadPoolExecutor, bar: Bar | None = None
) -> list[bytes]:
    """The files of the pictures of these numbers."""
    pixels = request.model.sample_pixels(request.seeds(rows), request.labels(rows), bar)

    def encode(picture: NDArray[np.uint8], facts: Generated) -> bytes:
        return figures.png(with_visible_label(picture) if request.visible_label else picture, facts)

    return list(pool.map(encode, pixels.permute(0, 2, 3, 1).numpy(), request.marks(rows)))
