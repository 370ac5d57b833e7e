"""Thumbnails of what the data doctor found: each kind of problem, copies side by side, the first of each class."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diptych.data.decode import FILTER, square
from diptych.data.inspection.inspect import Inspection
from diptych.data.inspection.issues import KINDS, Issue
from diptych.data.labels import label_names

if TYPE_CHECKING:
    from diptych.data.images import Images

_GRID_CLASSES, _GRID_COLUMNS, _GRID_PIXELS = 12, 8, 64
_SHOWN, _PAIRS, _DOUBTFUL = 12, 6, 24  # of each kind; pairs; labels
_TILE = 120
_ROOM = 20  # characters of a caption's line
_TITLES = {
    "copies with different labels": "Copies with different labels",
    "exact copy": "Exact copies, side by side",
    "near-duplicate": "Near-duplicates, side by side",
    "mirrored copy": "Mirrored copies, side by side",
    "doubtful label": "Labels that may be wrong",
    "odd shape": "Odd shapes",
    "odd size": "Odd sizes",
    "outlier": "Unlike all others",
}

Pixels = NDArray[np.uint8]


def thumbnail_figures(found: Inspection) -> dict[str, bytes]:
    """Draw the counts, some pictures of each problem, and the first pictures of each class."""
    from diptych.report.figures import bars, grid

    images, made = found.images, {}
    if len(images.classes) > 1:
        made["Pictures of each class"] = bars(images.counts())
    errors = images.known_errors()
    for kind in KINDS:
        problems = [problem for problem in found.of(kind) if problem.row not in errors]
        if problems:
            made[_TITLES.get(kind, kind.capitalize())] = _drawn(images, kind, problems)
    if any(len(pairs) for pairs in found.leaks.values()):
        for name, pairs in found.leaks.items():
            made[f"Copies across {name}s"] = _side_by_side(images, pairs.tolist(), images.groups[name])
    good = images.dimensions()[:, 0] > 0
    good[list(errors)] = False  # a header may be whole where the rest is not
    rows = [("Pictures", np.flatnonzero(good))] if not images.classes else _by_class(images, good)
    for name, members in rows[:_GRID_CLASSES]:
        if len(members):
            tiles = [square(images.picture(int(i)), _GRID_PIXELS, "crop") for i in members[:_GRID_COLUMNS]]
            made[name] = grid(np.stack(tiles), columns=_GRID_COLUMNS)
    return made


def _drawn(images: "Images", kind: str, problems: Sequence[Issue]) -> bytes:
    from diptych.report.figures import captioned

    if problems[0].other is not None:
        labels = np.array([", ".join(names) for names in label_names(images.labels, images.classes)])
        pairs = {tuple(sorted((problem.row, int(problem.other or 0)))): None for problem in problems}
        return _side_by_side(images, list(pairs), labels)
    shown = problems[: _DOUBTFUL if kind == "doubtful label" else _SHOWN]
    labels = np.array([", ".join(names) for names in label_names(images.labels, images.classes)])
    captions = []
    for problem in shown:
        told = f"{labels[problem.row]} → {problem.suggested}?" if problem.suggested is not None else labels[problem.row]
        captions.append(f"{told}\n{_tail(images.paths[problem.row])}" if told else _tail(images.paths[problem.row]))
    return captioned([_tile(images.picture(problem.row)) for problem in shown], captions)


def _side_by_side(images: "Images", pairs: Sequence[Sequence[int]], told: NDArray[np.str_]) -> bytes:
    from diptych.report.figures import captioned

    rows = [row for pair in pairs[:_PAIRS] for row in pair]
    captions = [f"{told[row]}\n{_tail(images.paths[row])}" for row in rows]
    return captioned([_tile(images.picture(row)) for row in rows], captions)


def _tile(picture: Pixels) -> Pixels:
    """The whole picture in the middle of a square, so that its shape shows."""
    height, width = picture.shape[:2]
    longest = max(width, height)
    if longest > _TILE:
        size = (max(1, round(width * _TILE / longest)), max(1, round(height * _TILE / longest)))
        picture = np.asarray(Image.fromarray(picture).resize(size, FILTER, reducing_gap=2.0))
        height, width = picture.shape[:2]
        longest = max(width, height)
    out = np.full((longest, longest, 3), 128, np.uint8)
    top, left = (longest - height) // 2, (longest - width) // 2
    out[top : top + height, left : left + width] = picture
    return out


def _tail(path: str) -> str:
    return path if len(path) <= _ROOM else f"…{path[1 - _ROOM :]}"


def _by_class(images: "Images", good: NDArray[np.bool_]) -> list[tuple[str, NDArray[np.int64]]]:
    member = images.labels if images.multi_label else images.labels[:, None] == np.arange(len(images.classes))
    return [(name, np.flatnonzero(member[:, k] & good)) for k, name in enumerate(images.classes)]
