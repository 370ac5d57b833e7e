"""One picture explained, on one sheet: the picture, its heatmap, and the most similar training pictures."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from diptych.report.figures import enlarged, png
from diptych.report.fonts import load_font, shorten
from diptych.report.heatmap import overlay

PAPER, INK, SOFT, LINE = (255, 255, 255), (28, 32, 36), (100, 107, 115), (223, 226, 230)
MIN_SIDE_PIXELS = 320  # smaller pictures are enlarged to at least this, so that there is room for text


@dataclass(frozen=True)
class SimilarPicture:
    """A similar training picture, as the sheet shows it.

    Attributes
    ----------
    pixels
        (S, S, 3) uint8; ``None`` where the file is no longer there.
    name
        Such as its path.
    caption
        The line above the name.
    """

    pixels: NDArray[np.uint8] | None
    name: str
    caption: str


def explanation_sheet(
    picture: NDArray[np.uint8],
    heatmap: NDArray[np.float32],
    *,
    prediction: str,
    explained: str,
    neighbours: Sequence[SimilarPicture],
) -> bytes:
    """Draw the sheet as a PNG.

    Parameters
    ----------
    picture
        (H, W, 3), shown at its own size; enlarged by a whole factor if it is small.
    heatmap
        (h, w) in 0..1.
    prediction
        The text below the picture, such as "cat 98%".
    explained
        The text below the heatmap.
    neighbours
        The most similar training pictures, each in a column.
    """
    picture = enlarged(picture, MIN_SIDE_PIXELS)
    height, width = picture.shape[:2]
    text_size = max(14, width // 24)  # px, legible on a large photograph that is shown as a whole
    gap = text_size
    sheet_height = height + 3 * gap + text_size + _neighbours_height(neighbours, width, text_size)
    sheet = Image.new("RGB", (2 * width + 3 * gap, sheet_height), PAPER)
    draw = ImageDraw.Draw(sheet)
    sheet.paste(Image.fromarray(picture), (gap, gap))
    sheet.paste(Image.fromarray(overlay(picture, heatmap)), (width + 2 * gap, gap))
    below = height + gap + text_size // 2
    _write(draw, (gap, below), prediction, text_size, INK, width)
    _write(draw, (width + 2 * gap, below), explained, text_size, SOFT, width)
    if neighbours:
        _draw_neighbours(sheet, draw, neighbours, (gap, below + 2 * text_size), width, text_size)
    return png(np.asarray(sheet))


def _draw_neighbours(
    sheet: Image.Image,
    draw: ImageDraw.ImageDraw,
    neighbours: Sequence[SimilarPicture],
    corner: tuple[int, int],
    width: int,
    text_size: int,
) -> None:
    small, side = max(11, 2 * text_size // 3), _neighbour_side(width)
    left, top = corner
    draw.line((left, top, sheet.width - left, top), LINE, max(1, text_size // 14))
    _write(draw, (left, top + text_size // 2), "Most similar training pictures", small, SOFT, 2 * width)
    top += text_size // 2 + 2 * small
    column = (sheet.width - left) // len(neighbours)
    for i, neighbour in enumerate(neighbours):
        x = left + i * column
        if neighbour.pixels is None:
            draw.rectangle((x, top, x + side, top + side), outline=LINE)
        else:
            square = Image.fromarray(neighbour.pixels).resize((side, side), Image.Resampling.BILINEAR)
            sheet.paste(square, (x, top))
        room = column - text_size
        _write(draw, (x, top + side + small // 3), neighbour.caption, small, INK, room)
        _write(draw, (x, top + side + 5 * small // 3), neighbour.name, small, SOFT, room)


def _neighbours_height(neighbours: Sequence[SimilarPicture], width: int, text_size: int) -> int:
    return _neighbour_side(width) + text_size + 5 * max(11, 2 * text_size // 3) if neighbours else 0


def _neighbour_side(width: int) -> int:
    """Side of a similar picture in px: three beside each other leave room for their names."""
    return width // 3


def _write(
    draw: ImageDraw.ImageDraw, corner: tuple[int, int], text: str, size: int, ink: tuple[int, int, int], room: int
) -> None:
    printable = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    draw.text(corner, shorten(printable, size, room), ink, load_font(printable + "…", size))
