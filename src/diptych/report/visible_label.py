"""A corner label that says of a picture, to everybody who sees it, that a model generated it.

China's GB 45438-2025 asks for one where pictures are shown to the public: text that says "AI" and "generated", in a
corner, at least 5 % of the shorter side high.
"""

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from diptych.report.fonts import has_font, load_font

TEXTS = ("AI 生成 AI-generated", "AI 生成", "AI-generated")  # the first that a font can write and that fits
MIN_SIDE_PIXELS = 64  # in smaller pictures no text is legible
MIN_HEIGHT_SHARE, MIN_HEIGHT_PIXELS = 0.05, 7  # of the letters: of the shorter side, and where that is less
_GROUND, _INK = (0, 0, 0, 150), (255, 255, 255, 255)

Pixels = NDArray[np.uint8]


def can_be_labelled(width: int, height: int) -> bool:
    """Whether a label in a picture of this size is legible."""
    return min(width, height) >= MIN_SIDE_PIXELS


def too_small(side: int) -> str:
    """Why pictures of ``side`` px get no label, and what to do."""
    return (
        f"No visible label was drawn: in pictures of {side} px no text is legible (it takes {MIN_SIDE_PIXELS} px). "
        "Their other marks are there; write it beside them where you show them."
    )


def with_visible_label(pixels: Pixels) -> Pixels:
    """A copy of (H, W, 3) with the label in its lower right corner; too small a picture as it is."""
    height, width = pixels.shape[:2]
    if not can_be_labelled(width, height):
        return pixels
    label = _label(width, height)
    rows, columns = label.shape[:2]
    labelled, opacity = pixels.copy(), label[..., 3:].astype(np.float32) / 255
    corner = labelled[height - rows :, width - columns :]
    corner[:] = np.rint(corner * (1 - opacity) + label[..., :3] * opacity)
    return labelled


@cache
def _label(width: int, height: int) -> Pixels:
    """(h, w, 4) for pictures of this size."""
    wanted = max(MIN_HEIGHT_PIXELS, math.ceil(MIN_HEIGHT_SHARE * min(width, height)))
    texts = [text for text in TEXTS if has_font(text)]
    size = wanted
    while _letters(texts[-1], size) < wanted:
        size += 1
    gap = max(2, wanted // 4)
    text = next((text for text in texts if load_font(text, size).getlength(text) + 2 * gap <= width), texts[-1])
    font = load_font(text, size)
    left, top, right, bottom = (round(edge) for edge in font.getbbox(text))
    sheet = Image.new("RGBA", (min(width, right - left + 2 * gap), bottom - top + 2 * gap), _GROUND)
    ImageDraw.Draw(sheet).text((gap - left, gap - top), text, font=font, fill=_INK)
    return np.asarray(sheet)


def _letters(text: str, size: int) -> float:
    """The height of the capital letters, in px."""
    _, top, _, bottom = load_font(text, size).getbbox("AI")
    return bottom - top
