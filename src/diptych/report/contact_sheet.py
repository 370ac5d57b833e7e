"""Pictures on one sheet, in rows with captions and columns with headings."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diptych.marks import Generated
from diptych.report.explanation_sheet import INK, PAPER, SOFT, write
from diptych.report.figures import enlarged, png

MIN_TILE_PIXELS = 128  # smaller pictures are enlarged to at least this, pixel by pixel
SHEET_WIDTH = 1400  # px; rows stand side by side as long as there is room
TEXT, GAP = 13, 10  # px


def contact_sheet(
    columns: Mapping[str, NDArray[np.uint8]], captions: Sequence[str], generated: Generated | None = None
) -> bytes:
    """Draw the sheet as a PNG.

    Parameters
    ----------
    columns
        By heading, (N, S, S, 3); picture i of each column is in row i.
    captions
        (N,) one above each row.
    generated
        What the sheet is marked with; None: all pictures are real.
    """
    rows = [[enlarged(pixels[i], MIN_TILE_PIXELS) for pixels in columns.values()] for i in range(len(captions))]
    side = len(rows[0][0])
    width, height = len(columns) * (side + GAP) + GAP, side + 2 * TEXT + 4 * GAP
    beside = max(1, min(len(rows), SHEET_WIDTH // width))
    sheet = Image.new("RGB", (beside * width + GAP, -(-len(rows) // beside) * height + GAP), PAPER)
    for i, (row, caption) in enumerate(zip(rows, captions, strict=True)):
        left, top = GAP + i % beside * width, GAP + i // beside * height
        write(sheet, (left, top), caption, TEXT, INK, width - 2 * GAP)
        for heading, tile in zip(columns, row, strict=True):
            write(sheet, (left, top + TEXT + GAP), heading, TEXT, SOFT, side)
            sheet.paste(Image.fromarray(tile), (left, top + 2 * TEXT + 2 * GAP))
            left += side + GAP
    return png(np.asarray(sheet), generated)
