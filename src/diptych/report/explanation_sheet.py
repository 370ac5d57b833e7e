"""One picture explained, on one sheet: the picture, its heatmap, its probabilities, similar training pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from diptych.report.figures import enlarged, png
from diptych.report.fonts import load_font, shorten
from diptych.report.heatmap import overlay

Colour = tuple[int, int, int]
PAPER, INK, SOFT, LINE = (255, 255, 255), (28, 32, 36), (100, 107, 115), (223, 226, 230)
BAR = (18, 147, 159)
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
    probabilities: Mapping[str, float],
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
        The text above the picture, such as "cat 98%".
    explained
        The text above the heatmap.
    probabilities
        0..1 by class, in the order in which they are shown.
    neighbours
        The most similar training pictures, each in a column.
    """
    picture = enlarged(picture, MIN_SIDE_PIXELS)
    height, width = picture.shape[:2]
    text_size = max(14, width // 24)  # px, legible on a large photograph that is shown as a whole
    gap = text_size
    bars_height = (len(probabilities) + 1) * _line(text_size) + gap
    sheet_height = height + 4 * gap + bars_height + _neighbours_height(neighbours, width, text_size)
    sheet = Image.new("RGB", (2 * width + 3 * gap, sheet_height), PAPER)
    write(sheet, (gap, gap // 2), prediction, text_size, INK, width)
    write(sheet, (width + 2 * gap, gap // 2), explained, text_size, SOFT, width)
    top = 2 * gap
    sheet.paste(Image.fromarray(picture), (gap, top))
    sheet.paste(Image.fromarray(overlay(picture, heatmap)), (width + 2 * gap, top))
    top += height + gap
    _draw_probabilities(sheet, probabilities, (gap, top), text_size)
    if neighbours:
        _draw_neighbours(sheet, neighbours, (gap, top + bars_height), width, text_size)
    return png(np.asarray(sheet))


def write(sheet: Image.Image, corner: tuple[int, int], text: str, size: int, ink: Colour, room: int) -> None:
    """Write one line of text, ``size`` px high, shortened to ``room`` px."""
    printable = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    font = load_font(printable + "…", size)
    ImageDraw.Draw(sheet).text(corner, shorten(printable, size, room), ink, font)


def _draw_probabilities(
    sheet: Image.Image, probabilities: Mapping[str, float], corner: tuple[int, int], text_size: int
) -> None:
    """A bar for each class: its name, the bar, the percentage."""
    draw, small, line = ImageDraw.Draw(sheet), _small(text_size), _line(text_size)
    left, top = corner
    room = sheet.width - 2 * left
    start, end = left + room // 3, sheet.width - left - 4 * small
    write(sheet, corner, "Probability of each class" + " (the likeliest)" * (len(probabilities) > 3), small, SOFT, room)
    for i, (name, probability) in enumerate(probabilities.items(), 1):
        y = top + i * line
        write(sheet, (left, y), name, small, INK, room // 3 - small)
        draw.rectangle((start, y, end, y + small), LINE)
        if probability > 0:
            draw.rectangle((start, y, start + round((end - start) * probability), y + small), BAR)
        write(sheet, (end + small // 2, y), f"{probability:.1%}", small, INK, 4 * small)


def _draw_neighbours(
    sheet: Image.Image, neighbours: Sequence[SimilarPicture], corner: tuple[int, int], width: int, text_size: int
) -> None:
    draw, small, side = ImageDraw.Draw(sheet), _small(text_size), _neighbour_side(width)
    left, top = corner
    draw.line((left, top, sheet.width - left, top), LINE, max(1, text_size // 14))
    write(sheet, (left, top + text_size // 2), "Most similar training pictures", small, SOFT, 2 * width)
    top += text_size // 2 + 2 * small
    column = (sheet.width - left) // len(neighbours)
    for i, neighbour in enumerate(neighbours):
        x, room = left + i * column, column - text_size
        write(sheet, (x, top), neighbour.caption, small, INK, room)
        write(sheet, (x, top + 4 * small // 3), neighbour.name, small, SOFT, room)
        y = top + 3 * small
        if neighbour.pixels is None:
            draw.rectangle((x, y, x + side, y + side), outline=LINE)
        else:
            square = Image.fromarray(neighbour.pixels).resize((side, side), Image.Resampling.BILINEAR)
            sheet.paste(square, (x, y))


def _neighbours_height(neighbours: Sequence[SimilarPicture], width: int, text_size: int) -> int:
    return _neighbour_side(width) + text_size + 5 * _small(text_size) if neighbours else 0


def _neighbour_side(width: int) -> int:
    """Side of a similar picture in px: three beside each other leave room for their names."""
    return width // 3


def _small(text_size: int) -> int:
    return max(11, 2 * text_size // 3)


def _line(text_size: int) -> int:
    return 2 * _small(text_size)
