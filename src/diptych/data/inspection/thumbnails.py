"""Thumbnails of an inspection: the issues of each kind, copies side by side, the first pictures of each class."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diptych.data.decode import RESAMPLING, to_square
from diptych.data.inspection.inspect import Inspection
from diptych.data.inspection.issues import KINDS, Issue
from diptych.data.labels import label_names
from diptych.data.picture_set import PictureSet
from diptych.data.provenance import generated_facts, sheet_facts
from diptych.report import Gallery

_MAX_GRID_CLASSES, _GRID_COLUMNS, _GRID_PIXELS = 12, 8, 64
_MAX_ISSUES, _MAX_PAIRS, _MAX_LABEL_ERRORS = 12, 6, 24  # thumbnails of each kind; pairs; label errors
_TILE_PIXELS = 120
_CAPTION_CHARACTERS = 17  # that fit on a line of a caption
_TITLES = {
    "copies with different labels": "Copies with different labels",
    "exact copy": "Exact copies, side by side",
    "near-duplicate": "Near-duplicates, side by side",
    "mirrored copy": "Mirrored copies, side by side",
    "label error": "Suspected label errors",
    "same scene": "The same object or scene, side by side",
    "odd shape": "Odd shapes",
    "odd size": "Odd sizes",
    "outlier": "Unlike all others",
}

Pixels = NDArray[np.uint8]


def thumbnail_figures(inspection: Inspection[Any]) -> dict[str, bytes | Gallery]:
    """Figures by title: the counts, some pictures of each kind of issue, and the first pictures of each class."""
    from diptych.report.figures import bars

    images = inspection.images
    figures: dict[str, bytes | Gallery] = {}
    if len(images.classes) > 1:
        figures["Pictures of each class"] = bars(images.counts())
    errors = images.known_errors()
    for kind in KINDS:
        issues = [issue for issue in inspection.of_kind(kind) if issue.row not in errors]
        if issues:
            figures[_TITLES.get(kind, kind.capitalize())] = _issue_figure(images, kind, issues)
    if any(len(pairs) for pairs in inspection.leaks.values()):
        for name, pairs in inspection.leaks.items():
            figures[f"Copies across {name}s"] = _pair_figure(images, pairs.tolist(), images.groups[name])
    readable = images.dimensions()[:, 0] > 0
    readable[list(errors)] = False  # a header may be whole where the rest is not
    return figures | _class_figures(images, readable)


def _class_figures(images: PictureSet, readable: NDArray[np.bool_]) -> dict[str, bytes | Gallery]:
    """The first pictures of each class, or of the whole set where there are no classes."""
    from diptych.report.figures import grid

    classes = _rows_by_class(images, readable) if images.classes else [("Pictures", np.flatnonzero(readable))]
    figures: dict[str, bytes | Gallery] = {}
    for name, rows in classes[:_MAX_GRID_CLASSES]:
        if len(rows):
            tiles = [to_square(images.picture(int(i)), _GRID_PIXELS, "crop") for i in rows[:_GRID_COLUMNS]]
            facts = sheet_facts(images, rows[:_GRID_COLUMNS])
            figures[name] = grid(np.stack(tiles), columns=_GRID_COLUMNS, generated=facts)
    return figures


def _issue_figure(images: PictureSet, kind: str, issues: Sequence[Issue]) -> Gallery:
    labels = np.array([", ".join(names) for names in label_names(images.labels, images.classes)])
    if issues[0].other is not None:
        pairs = {tuple(sorted((issue.row, int(issue.other or 0)))): None for issue in issues}
        return _pair_figure(images, list(pairs), labels)
    shown = issues[: _MAX_LABEL_ERRORS if kind == "label error" else _MAX_ISSUES]
    captions = []
    for issue in shown:
        label, name = labels[issue.row], _shorten(images.paths[issue.row])
        title = f"{label} → {issue.suggested}?" if issue.suggested is not None else label
        captions.append((title, name) if title else (name,))
    return _gallery(images, [issue.row for issue in shown], captions)


def _pair_figure(images: PictureSet, pairs: Sequence[Sequence[int]], titles: NDArray[np.str_]) -> Gallery:
    """Pairs side by side; ``titles``: (N,) the first line of each picture's caption."""
    rows = [row for pair in pairs[:_MAX_PAIRS] for row in pair]
    captions = [(str(titles[row]), _shorten(images.paths[row])) for row in rows]
    return _gallery(images, rows, captions, group=2)


def _gallery(images: PictureSet, rows: Sequence[int], captions: Sequence[tuple[str, ...]], group: int = 1) -> Gallery:
    from diptych.report.figures import gallery

    tiles = [_tile(images.picture(row)) for row in rows]
    return gallery(tiles, captions, group, generated=[generated_facts(images, row) for row in rows])


def _tile(picture: Pixels) -> Pixels:
    """The whole picture in the middle of a square, so that its shape shows."""
    height, width = picture.shape[:2]
    longest = max(width, height)
    if longest > _TILE_PIXELS:
        size = (max(1, round(width * _TILE_PIXELS / longest)), max(1, round(height * _TILE_PIXELS / longest)))
        picture = np.asarray(Image.fromarray(picture).resize(size, RESAMPLING, reducing_gap=2.0))
        height, width = picture.shape[:2]
        longest = max(width, height)
    out = np.full((longest, longest, 3), 128, np.uint8)
    top, left = (longest - height) // 2, (longest - width) // 2
    out[top : top + height, left : left + width] = picture
    return out


def _shorten(path: str) -> str:
    """The end of a path, as much as a caption has room for."""
    return path if len(path) <= _CAPTION_CHARACTERS else f"…{path[1 - _CAPTION_CHARACTERS :]}"


def _rows_by_class(images: PictureSet, readable: NDArray[np.bool_]) -> list[tuple[str, NDArray[np.int64]]]:
    member = images.labels if images.multi_label else images.labels[:, None] == np.arange(len(images.classes))
    return [(name, np.flatnonzero(member[:, k] & readable)) for k, name in enumerate(images.classes)]
