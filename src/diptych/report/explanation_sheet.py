"""One picture explained, on one sheet: the picture, the heat over it, and the training pictures it is most like."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from diptych.report.figures import enlarged, png
from diptych.report.fonts import font, short
from diptych.report.heatmap import overlay

PAPER, INK, SOFT, LINE = (255, 255, 255), (28, 32, 36), (100, 107, 115), (223, 226, 230)
LEAST = 320  # px that a picture is enlarged to at least, so that there is room for words


@dataclass(frozen=True)
class SimilarPicture:
    """A picture that it is like, (S, S, 3) uint8 or ``None`` where it is gone; its name; what there is to say of it."""

    pixels: NDArray[np.uint8] | None
    name: str
    words: str


def explanation_sheet(
    picture: NDArray[np.uint8],
    heat: NDArray[np.float32],
    *,
    answer: str,
    explained: str,
    likes: Sequence[SimilarPicture],
) -> bytes:
    """Draw the sheet as a PNG.

    Parameters
    ----------
    picture
        (H, W, 3), shown at its own size; enlarged by a whole factor if it is small.
    heat
        (h, w) in 0..1.
    answer
        What was told, such as "cat 98%".
    explained
        What the heat shows.
    likes
        The pictures that it is like, each in a column.
    """
    picture = enlarged(picture, LEAST)
    high, wide = picture.shape[:2]
    letters = max(14, wide // 24)  # px, also on a large photograph legible when all of it is looked at
    gap = letters
    whole = Image.new("RGB", (2 * wide + 3 * gap, high + 3 * gap + letters + _height(likes, wide, letters)), PAPER)
    draw = ImageDraw.Draw(whole)
    whole.paste(Image.fromarray(picture), (gap, gap))
    whole.paste(Image.fromarray(overlay(picture, heat)), (wide + 2 * gap, gap))
    below = high + gap + letters // 2
    _write(draw, (gap, below), answer, letters, INK, wide)
    _write(draw, (wide + 2 * gap, below), explained, letters, SOFT, wide)
    if likes:
        _draw_likes(whole, draw, likes, (gap, below + 2 * letters), wide, letters)
    return png(np.asarray(whole))


def _draw_likes(
    whole: Image.Image,
    draw: ImageDraw.ImageDraw,
    likes: Sequence[SimilarPicture],
    at: tuple[int, int],
    wide: int,
    letters: int,
) -> None:
    small, side = max(11, 2 * letters // 3), _side(wide)
    left, top = at
    draw.line((left, top, whole.width - left, top), LINE, max(1, letters // 14))
    _write(draw, (left, top + letters // 2), "Most alike in training", small, SOFT, 2 * wide)
    top += letters // 2 + 2 * small
    column = (whole.width - left) // len(likes)
    for i, like in enumerate(likes):
        x = left + i * column
        if like.pixels is None:
            draw.rectangle((x, top, x + side, top + side), outline=LINE)
        else:
            square = Image.fromarray(like.pixels).resize((side, side), Image.Resampling.BILINEAR)
            whole.paste(square, (x, top))
        room = column - letters
        _write(draw, (x, top + side + small // 3), like.words, small, INK, room)
        _write(draw, (x, top + side + 5 * small // 3), like.name, small, SOFT, room)


def _height(likes: Sequence[SimilarPicture], wide: int, letters: int) -> int:
    return _side(wide) + letters + 5 * max(11, 2 * letters // 3) if likes else 0


def _side(wide: int) -> int:
    """Of a picture that it is like: three beside each other leave room for their names."""
    return wide // 3


def _write(
    draw: ImageDraw.ImageDraw, at: tuple[int, int], text: str, size: int, ink: tuple[int, int, int], room: int
) -> None:
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    draw.text(at, short(shown, size, room), ink, font(shown + "…", size))
