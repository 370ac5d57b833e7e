"""Words drawn into pictures, in whatever script: with a font that comes along, or one of the system's that has them."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from PIL import ImageFont


def font(text: str, size: int) -> ImageFont.FreeTypeFont:
    """A font that has all characters of ``text``, ``size`` px high; where there is none, the one that comes along."""
    wanted = frozenset(c for c in text if c.isprintable() and not c.isspace())
    return ImageFont.truetype(_file_with(wanted), size)


def short(text: str, size: int, room: float) -> str:
    """As much of the text's end as fits into so many px, since names differ at their ends."""
    letters = font(text, size)
    if letters.getlength(text) <= room:
        return text
    while text and letters.getlength("…" + text) > room:
        text = text[1:]
    return "…" + text


@cache
def _file_with(wanted: frozenset[str]) -> str:
    import matplotlib as mpl

    own = str(Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf")
    return next((file for file in _files(own) if wanted <= _characters(file)), own)


def _files(own: str) -> Iterable[str]:
    yield own
    from matplotlib.font_manager import findSystemFonts

    yield from sorted(findSystemFonts())


@cache
def _characters(file: str) -> frozenset[str]:
    from fontTools.ttLib import TTFont, TTLibError

    try:
        with TTFont(file, fontNumber=0, lazy=True) as held:
            return frozenset(map(chr, held.getBestCmap() or ()))
    except (TTLibError, OSError):
        return frozenset()
