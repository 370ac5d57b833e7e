"""Figures: pictures as PNG, plots as SVG. The same input gives the same bytes.

The lettering of an SVG is drawn by the browser, so names in any script show; its ink is a mid grey that reads on
a light page and on a dark one.
"""

import io
import math
import warnings
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#7b828a"
COLOURS = ["#12939f", "#d9822b", "#7a5fc2", "#3d8b4f", "#c2456b"]
TILE_PIXELS = 48  # smaller pictures are enlarged to at least this, pixel by pixel
NAMED_CLASSES = 40  # more than this many cannot be lettered legibly on an axis
COUNTED_CLASSES = 20  # more than this many leave no room for figures in the cells
_SETTINGS: Any = {
    "svg.fonttype": "none", "svg.hashsalt": "diptych", "font.size": 10, "text.color": INK,
    "axes.edgecolor": INK, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": INK,
    "grid.alpha": 0.2, "legend.frameon": False, "text.parse_math": False,
}  # fmt: skip


def grid(pictures: np.ndarray, columns: int | None = None) -> bytes:
    """Pictures side by side, row by row: (N, H, W, 3) uint8 -> PNG.

    Small ones are enlarged by a whole factor, so that every pixel stays square and none is blurred. ``columns``
    ``None`` makes the grid about as wide as high.
    """
    n, height, width, _ = pictures.shape
    columns = columns or max(1, math.ceil(math.sqrt(n)))
    zoom = max(1, math.ceil(TILE_PIXELS / max(height, width)))
    gap = 2
    high, wide = height * zoom + gap, width * zoom + gap
    sheet = np.full((math.ceil(n / columns) * high - gap, columns * wide - gap, 4), 0, np.uint8)
    for i, picture in enumerate(pictures):
        top, left = i // columns * high, i % columns * wide
        sheet[top : top + high - gap, left : left + wide - gap, :3] = picture.repeat(zoom, 0).repeat(zoom, 1)
        sheet[top : top + high - gap, left : left + wide - gap, 3] = 255
    return png(sheet)


def captioned(pictures: Iterable[np.ndarray], captions: Sequence[str], columns: int = 6) -> bytes:
    """Pictures (H, W, 3) uint8 of any sizes, each over its caption (a line for each newline) -> SVG."""
    tile, line = 120, 15
    lines = max((caption.count("\n") + 1 for caption in captions), default=1)
    high, wide = tile + 8 + lines * line + 10, tile + 12
    columns = max(1, min(columns, len(captions)))
    rows = math.ceil(len(captions) / columns)
    parts = []
    for i, (pixels, caption) in enumerate(zip(pictures, captions, strict=True)):
        left, top = i % columns * wide, i // columns * high
        data = b64encode(png(enlarged(pixels))).decode()
        parts.append(
            f'<image x="{left}" y="{top}" width="{tile}" height="{tile}" style="image-rendering:pixelated" '
            f'href="data:image/png;base64,{data}"/>'
        )
        for j, words in enumerate(caption.split("\n")):
            parts.append(f'<text x="{left}" y="{top + tile + 14 + j * line}">{escape(_short(words, 20))}</text>')
    size = f'width="{columns * wide}" height="{rows * high}" viewBox="0 0 {columns * wide} {rows * high}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11" fill="{INK}">'
    return (head + "".join(parts) + "</svg>").encode("utf-8", "replace")


def curves(history: Sequence[Mapping[str, Any]]) -> bytes:
    """Losses and scores over pictures seen, from the records of ``history.jsonl`` -> SVG."""
    panels = [p for p in (_series(history, "losses"), _series(history, "scores")) if p]
    with sheet(width=4.6 * max(len(panels), 1), height=3.0, panels=max(len(panels), 1)) as (figure, axes):
        for axis, panel, name in zip(axes, panels, ("loss", "score"), strict=False):
            for colour, (label, points) in zip(COLOURS * len(panel), panel.items(), strict=False):
                axis.plot(*zip(*points, strict=True), color=colour, linewidth=1.6, label=_short(label, 30))
            axis.set(ylabel=name)
            _over_pictures_seen(axis)
            if len(panel) > 1 or name == "score":
                axis.legend()
        return svg(figure)


def monitor_figure(history: Sequence[Mapping[str, Any]], chosen: int) -> bytes:
    """Kernel distance with its interval, and copy rate, over pictures seen; a line at the moment chosen -> SVG.

    The distance's axis is linear up to 0.1 and logarithmic beyond: what runs begin with is a hundred times what they
    end with.
    """
    series = _series(history, "scores")
    panels = {"kernel_distance": "distance", "copy_rate": "copy rate"}
    with sheet(width=9.2, height=3.0, panels=2) as (figure, axes):
        for axis, (name, words) in zip(axes, panels.items(), strict=True):
            moments, values = zip(*series.get(name, [(0, math.nan)]), strict=True)
            axis.plot(moments, values, color=COLOURS[0], linewidth=1.6, marker="o", markersize=3)
            axis.axvline(chosen, color=INK, linewidth=1, linestyle=":")
            axis.set(ylabel=words)
            _over_pictures_seen(axis)
        low, high = ([value for _, value in series[f"kernel_distance_{end}"]] for end in ("low", "high"))
        axes[0].fill_between([m for m, _ in series["kernel_distance"]], low, high, color=COLOURS[0], alpha=0.2)
        axes[0].set_yscale("symlog", linthresh=0.1)
        axes[0].yaxis.set_major_formatter("{x:g}")  # not as powers of ten, which would need mathematical type
        axes[1].set_ylim(0, max(0.1, *axes[1].get_ylim()))
        return svg(figure)


def confusion(matrix: np.ndarray, classes: Sequence[str]) -> bytes:
    """A (K, K) confusion matrix, true class by row, told class by column -> SVG.

    Colour is the share of the row, so that rare classes show as well as frequent ones.
    """
    counts = np.asarray(matrix)
    k = len(classes)
    side = min(10.0, max(3.2, 1.6 + 0.42 * min(k, NAMED_CLASSES)))
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    with sheet(width=side, height=side, panels=1) as (figure, (axis,)):
        axis.imshow(shares, cmap="BuGn", vmin=0, vmax=1, interpolation="nearest")
        axis.grid(False)
        axis.set(xlabel="told", ylabel="true")
        if k <= NAMED_CLASSES:
            names = [_short(name, 18) for name in classes]
            upright = max(map(len, names), default=0) > 3
            axis.set_xticks(range(k), names, rotation=90 if upright else 0)
            axis.set_yticks(range(k), names)
        if k <= COUNTED_CLASSES:
            for row, column in zip(*np.nonzero(counts), strict=True):
                ink = "#ffffff" if shares[row, column] > 0.55 else "#33383d"
                axis.text(column, row, f"{counts[row, column]}", ha="center", va="center", color=ink, fontsize=8)
        return svg(figure)


def bars(counts: Mapping[str, float], label: str = "pictures") -> bytes:
    """A bar for each name, in the order given -> SVG; of more than forty names, the largest and the smallest."""
    shown = dict(counts)
    if len(shown) > NAMED_CLASSES:
        ranked = sorted(shown, key=lambda name: -shown[name])
        kept = {*ranked[: NAMED_CLASSES // 2], *ranked[-NAMED_CLASSES // 2 :]}
        shown = {name: count for name, count in shown.items() if name in kept}
    names = [_short(name, 28) for name in shown]
    with sheet(width=6.4, height=0.9 + 0.24 * len(names), panels=1) as (figure, (axis,)):
        axis.barh(range(len(names)), list(shown.values()), color=COLOURS[0], height=0.7)
        axis.set_yticks(range(len(names)), names)
        axis.invert_yaxis()
        axis.grid(False, axis="y")
        axis.set_xlabel(label)
        axis.xaxis.set_major_formatter(_thousands)
        return svg(figure)


def png(pixels: np.ndarray) -> bytes:
    """(H, W, 3 or 4) uint8 as a PNG."""
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(out, "PNG", optimize=True)
    return out.getvalue()


def picture(pixels: np.ndarray) -> bytes:
    """(H, W, 3) uint8 as PNG or JPEG, whichever is shorter: drawings stay exact, photographs stay small."""
    image, photograph, drawing = Image.fromarray(np.ascontiguousarray(pixels)), io.BytesIO(), io.BytesIO()
    image.save(photograph, "JPEG", quality=85)
    image.save(drawing, "PNG")
    return min(drawing.getvalue(), photograph.getvalue(), key=len)


def enlarged(pixels: np.ndarray, least: int = TILE_PIXELS) -> np.ndarray:
    """(H, W, C) by a whole factor, every pixel a square, so that its longer side has ``least`` or more."""
    zoom = max(1, math.ceil(least / max(pixels.shape[:2])))
    return pixels.repeat(zoom, 0).repeat(zoom, 1)


def _series(history: Sequence[Mapping[str, Any]], key: str) -> dict[str, list[tuple[int, float]]]:
    """Of each name under ``key``, its finite points (pictures seen, value)."""
    series: dict[str, list[tuple[int, float]]] = {}
    for record in history:
        for name, value in record.get(key, {}).items():
            if isinstance(value, int | float) and math.isfinite(value):
                series.setdefault(name, []).append((record["seen_pictures"], value))
    return series


@contextmanager
def sheet(width: float, height: float, panels: int) -> "Iterator[tuple[Figure, list[Axes]]]":
    """A figure of so many inches and its panels, in the house's style."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_SETTINGS), warnings.catch_warnings():
        # The browser has the glyphs that the plotting library's own font lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, list(figure.subplots(1, panels, squeeze=False)[0])


def svg(figure: "Figure") -> bytes:
    """The figure as SVG."""
    out = io.BytesIO()
    figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return out.getvalue()


def _over_pictures_seen(axis: "Axes") -> None:
    """Letter the horizontal axis; so few figures that counts in the millions stand clear of each other."""
    axis.set_xlabel("pictures seen")
    axis.locator_params(axis="x", nbins=4)
    axis.xaxis.set_major_formatter(_thousands)


def _thousands(value: float, place: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:g}"


def _short(text: str, most: int) -> str:
    """At most so many characters, all printable."""
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return shown if len(shown) <= most else shown[: most - 1] + "…"
