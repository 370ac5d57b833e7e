"""Rows of text as they come: aligned under a header on a terminal, tab-separated under one elsewhere."""

import shutil
from collections.abc import Sequence
from typing import TextIO

from diptych.escaping import for_terminal
from diptych.report.text import display_width, pad

MIN_FIRST_WIDTH = 20  # columns of a terminal that the first cell, a path, may always take
GAP = "  "


class TextRows:
    """Prints rows of cells; the first is a path, the last one takes what room it needs.

    Parameters
    ----------
    columns
        The header.
    aligned
        Whether for a person; otherwise separated by tabs.
    right
        The columns that are aligned right.
    """

    def __init__(self, stream: TextIO, columns: Sequence[str], *, aligned: bool, right: Sequence[str] = ()) -> None:
        self._stream, self._columns = stream, list(columns)
        self._aligned, self._right = aligned, [column in right for column in columns]
        self._widths: list[int] = []  # of all columns but the last; they grow with what comes

    def add(self, rows: Sequence[Sequence[str]]) -> None:
        """Print rows, the header before the first."""
        lines = [[for_terminal(cell) for cell in row] for row in rows]
        if lines and not self._widths:
            last = self._columns[-1] if not self._aligned or any(line[-1] for line in lines) else ""
            lines.insert(0, [*self._columns[:-1], last])
            self._widths = [0] * (len(self._columns) - 1)
        self._widen(lines)
        for line in lines:
            print(self._text(line), file=self._stream)

    def _widen(self, lines: list[list[str]]) -> None:
        """Make the columns as wide as these lines need; the first one takes at most what the others leave."""
        self._widths = [
            max([width, *(display_width(line[i]) for line in lines)]) for i, width in enumerate(self._widths)
        ]
        room = shutil.get_terminal_size().columns - sum(self._widths[1:]) - len(GAP) * len(self._widths)
        self._widths[:1] = [min(width, max(room, MIN_FIRST_WIDTH)) for width in self._widths[:1]]

    def _text(self, row: list[str]) -> str:
        if not self._aligned:
            return "\t".join(row).rstrip("\t")
        cells = [_end_of(row[0], self._widths[0]), *row[1:]]
        padded = [pad(*column) for column in zip(cells, self._widths, self._right, strict=False)]
        return GAP.join([*padded, row[-1]]).rstrip()


def _end_of(path: str, width: int) -> str:
    """The path, or the end of it that fits."""
    if display_width(path) <= width:
        return path
    while display_width(path) > width - 1:
        path = path[1:]
    return f"…{path}"
