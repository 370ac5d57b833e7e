"""Fonts for text drawn into pictures, in any script: the one that matplotlib ships, or a system font."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from PIL import ImageFont


def load_font(text: str, size: int) -> ImageFont.FreeTypeFont:
    """A font that has all characters of ``text``, ``size`` px high; if there is none, the one that matplotlib ships."""
    return ImageFont.truetype(_file_with(_visible(text)), size)


def has_font(text: str) -> bool:
    """Whether some font has all characters of ``text``."""
    return _visible(text) <= _characters_of(_file_with(_visible(text)))


def shorten(text: str, size: int, room: float) -> str:
    """As much of the text's end as fits into ``room`` px, since file names differ at their ends."""
    sized = load_font(text, size)
    if sized.getlength(text) <= room:
        return text
    while text and sized.getlength("…" + text) > room:
        text = text[1:]
    return "…" + text


def _visible(text: str) -> frozenset[str]:
    return frozenset(c for c in text if c.isprintable() and not c.isspace())


@cache
def _file_with(characters: frozenset[str]) -> str:
    import matplotlib as mpl

    shipped = str(Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf")
    return next((file for file in _font_files(shipped) if characters <= _characters_of(file)), shipped)


def _font_files(shipped: str) -> Iterable[str]:
    yield shipped
    from matplotlib.font_manager import findSystemFonts

    yield from sorted(findSystemFonts())


@cache
def _characters_of(file: str) -> frozenset[str]:
    from fontTools.ttLib import TTFont, TTLibError

    try:
        with TTFont(file, fontNumber=0, lazy=True) as opened:
            return frozenset(map(chr, opened.getBestCmap() or ()))
    except (TTLibError, OSError):
        return frozenset()
