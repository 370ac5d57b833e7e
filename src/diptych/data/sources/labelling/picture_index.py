"""Which picture a cell of a table names: by its path or an end of it, with or without the suffix.

A number may lack the zeros in front, which spreadsheets drop.
"""

import posixpath
from collections.abc import Iterable, Mapping, Sequence

from diptych.data.labels import composed
from diptych.data.sources.labelling.layout import Layout
from diptych.data.sources.labelling.tables import Row

_AMBIGUOUS = -1
_MAX_DEPTH = 128  # folders in a path that a cell may name by less than the whole


class PictureIndex:
    """The pictures of a folder by every way to name them.

    Parameters
    ----------
    layout
        The pictures and their parts.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._indexes: dict[tuple[str | None, str], dict[str, int]] = {}

    def match(self, rows: Sequence[Row], part: str | None, folder: str = "") -> tuple[str, dict[int, Row]]:
        """The column that names most pictures, and the row of each picture that it names.

        Parameters
        ----------
        part
            The part that the table is for by its name; names such as 1.jpg may be in several parts.
        folder
            The folder that the table lies in, whose pictures it means first: others may have the same names.
        """
        parts = set(self._layout.splits or ())
        if part in parts:
            return _best_column(rows, self._index(part))
        indexes = [self._index(None), *([self._index("train")] if "train" in parts else [])]
        if folder:
            indexes.insert(0, self._index(None, folder))
        return max((_best_column(rows, index) for index in indexes), key=lambda best: len(best[1]))

    def _index(self, part: str | None, folder: str = "") -> dict[str, int]:
        if (part, folder) not in self._indexes:
            splits, within = self._layout.splits or [], f"{folder}/" if folder else ""
            pictures = {i: name for i, name in enumerate(self._layout.pictures) if name.startswith(within)}
            chosen = {i: name for i, name in pictures.items() if part is None or splits[i] == part}
            self._indexes[part, folder] = _index(chosen)
        return self._indexes[part, folder]


def _index(pictures: Mapping[int, str]) -> dict[str, int]:
    """Number of the picture by every way to name it; -1 where several share one, unless for one it is more exact."""
    short: dict[str, int] = {}
    index: dict[str, int] = {}
    for i, name in pictures.items():
        forms = {form for path in (name, posixpath.splitext(name)[0]) for form in (path, composed(path))}
        for key in {end for path in forms for end in _ends(path)}:
            index[key] = i if index.get(key, i) == i else _AMBIGUOUS
        stem = posixpath.splitext(posixpath.basename(name))[0]
        if stem.isdecimal():
            number = stem.lstrip("0") or "0"
            short[number] = i if short.get(number, i) == i else _AMBIGUOUS
    index = {**short, **index}
    index.update({name: i for i, name in pictures.items()})  # the whole path always means its picture
    return index


def _ends(path: str) -> Iterable[str]:
    """All ends of a path, the longest first: "a/b/c", "b/c", "c"; of a deeper one than there can be, the last ones."""
    parts = path.rsplit("/", _MAX_DEPTH)
    return ["/".join(parts[i:]) for i in range(len(parts))]


def _best_column(rows: Sequence[Row], index: Mapping[str, int]) -> tuple[str, dict[int, Row]]:
    best: tuple[str, dict[int, Row]] = ("", {})
    for column in dict.fromkeys(name for row in rows[:100] for name in row.cells):
        row_of: dict[int, Row] = {}
        for row in rows:
            picture = _picture(row.cells.get(column), index)
            if picture != _AMBIGUOUS:
                row_of.setdefault(picture, row)
        if len(row_of) > len(best[1]):
            best = column, row_of
    return best


def _picture(value: object, index: Mapping[str, int]) -> int:
    """The picture that a cell names; -1: none, or one of several."""
    if not isinstance(value, (str, int)) or value == "":
        return _AMBIGUOUS
    name = posixpath.normpath(str(value).replace("\\", "/"))
    return next((index[end] for end in (*_ends(name), *_ends(composed(name))) if end in index), _AMBIGUOUS)
