"""Figures: pictures as PNG, plots as SVG. The same input gives the same bytes.

The text of an SVG is drawn by the browser, so names in any script show; its ink is a mid grey that is legible on a
light page and on a dark one.
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
MIN_TILE_PIXELS = 48  # smaller pictures are enlarged to at least this, pixel by pixel
MAX_NAMED_CLASSES = 40  # more names are not legible on an axis
MAX_COUNTED_CLASSES = 20  # more classes leave no room for numbers in the cells
_SETTINGS: Any = {
    "svg.fonttype": "none", "svg.hashsalt": "diptych", "font.size": 10, "text.color": INK,
    "axes.edgecolor": INK, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": INK,
    "grid.alpha": 0.2, "legend.frameon": False, "text.parse_math": False,
}  # fmt: skip


def grid(pictures: np.ndarray, columns: int | None = None) -> bytes:
    """Pictures in a grid, row by row: (N, H, W, 3) uint8 -> PNG.

    Small ones are enlarged by a whole factor, so that pixels stay square and sharp. ``columns`` ``None`` makes the grid
    about as wide as high.
    """
    n, height, width, _ = pictures.shape
    columns = columns or max(1, math.ceil(math.sqrt(n)))
    zoom = max(1, math.ceil(MIN_TILE_PIXELS / max(height, width)))
    gap = 2
    tile_height, tile_width = height * zoom, width * zoom
    rows = math.ceil(n / columns)
    canvas = np.zeros((rows * (tile_height + gap) - gap, columns * (tile_width + gap) - gap, 4), np.uint8)
    for i, picture in enumerate(pictures):
        top, left = i // columns * (tile_height + gap), i % columns * (tile_width + gap)
        tile = canvas[top : top + tile_height, left : left + tile_width]
        tile[..., :3], tile[..., 3] = picture.repeat(zoom, 0).repeat(zoom, 1), 255
    return png(canvas)


def captioned(pictures: Iterable[np.ndarray], captions: Sequence[str], columns: int = 6) -> bytes:
    """Pictures (H, W, 3) uint8 of any sizes, each above its caption, which may have several lines -> SVG."""
    tile, line = 120, 15
    lines = max((caption.count("\n") + 1 for caption in captions), default=1)
    cell_height, cell_width = tile + 8 + lines * line + 10, tile + 12
    columns = max(1, min(columns, len(captions)))
    rows = math.ceil(len(captions) / columns)
    parts = []
    for i, (pixels, caption) in enumerate(zip(pictures, captions, strict=True)):
        left, top = i % columns * cell_width, i // columns * cell_height
        data = b64encode(png(enlarged(pixels))).decode()
        parts.append(
            f'<image x="{left}" y="{top}" width="{tile}" height="{tile}" style="image-rendering:pixelated" '
            f'href="data:image/png;base64,{data}"/>'
        )
        for j, text in enumerate(caption.split("\n")):
            parts.append(f'<text x="{left}" y="{top + tile + 14 + j * line}">{escape(_shortened(text, 20))}</text>')
    width, height = columns * cell_width, rows * cell_height
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11" fill="{INK}">'
    return (head + "".join(parts) + "</svg>").encode("utf-8", "replace")


def curves(history: Sequence[Mapping[str, Any]]) -> bytes:
    """Curves of the losses and scores over pictures seen, from the records of ``history.jsonl`` -> SVG."""
    panels = [p for p in (_series(history, "losses"), _series(history, "scores")) if p]
    with styled_figure(width=4.6 * max(len(panels), 1), height=3.0, panels=max(len(panels), 1)) as (figure, axes):
        for axis, panel, name in zip(axes, panels, ("loss", "score"), strict=False):
            for colour, (label, points) in zip(COLOURS * len(panel), panel.items(), strict=False):
                axis.plot(*zip(*points, strict=True), color=colour, linewidth=1.6, label=_shortened(label, 30))
            axis.set(ylabel=name)
            _over_pictures_seen(axis)
            if len(panel) > 1 or name == "score":
                axis.legend()
        return svg(figure)


def monitor_figure(history: Sequence[Mapping[str, Any]], chosen: int) -> bytes:
    """Kernel distance with its interval, and copy rate, over pictures seen -> SVG.

    A vertical line marks ``chosen``, the pictures seen by the chosen model. The distance's axis is linear up to 0.1 and
    logarithmic beyond, since runs begin at a hundred times the distance that they end at.
    """
    series = _series(history, "scores")
    panels = {"kernel_distance": "distance", "copy_rate": "copy rate"}
    with styled_figure(width=9.2, height=3.0, panels=2) as (figure, axes):
        for axis, (name, label) in zip(axes, panels.items(), strict=True):
            moments, values = zip(*series.get(name, [(0, math.nan)]), strict=True)
            axis.plot(moments, values, color=COLOURS[0], linewidth=1.6, marker="o", markersize=3)
            axis.axvline(chosen, color=INK, linewidth=1, linestyle=":")
            axis.set(ylabel=label)
            _over_pictures_seen(axis)
        low, high = ([value for _, value in series[f"kernel_distance_{end}"]] for end in ("low", "high"))
        axes[0].fill_between([m for m, _ in series["kernel_distance"]], low, high, color=COLOURS[0], alpha=0.2)
        axes[0].set_yscale("symlog", linthresh=0.1)
        axes[0].yaxis.set_major_formatter("{x:g}")  # not as powers of ten, which need mathematical notation
        axes[1].set_ylim(0, max(0.1, *axes[1].get_ylim()))
        return svg(figure)


def confusion(matrix: np.ndarray, classes: Sequence[str]) -> bytes:
    """A (K, K) confusion matrix, true class by row, predicted class by column -> SVG.

    Colour is the share of the row, so that rare classes are as visible as frequent ones.
    """
    counts = np.asarray(matrix)
    k = len(classes)
    side = min(10.0, max(3.2, 1.6 + 0.42 * min(k, MAX_NAMED_CLASSES)))
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    with styled_figure(width=side, height=side, panels=1) as (figure, (axis,)):
        axis.imshow(shares, cmap="BuGn", vmin=0, vmax=1, interpolation="nearest")
        axis.grid(False)
        axis.set(xlabel="predicted", ylabel="true")
        if k <= MAX_NAMED_CLASSES:
            names = [_shortened(name, 18) for name in classes]
            upright = max(map(len, names), default=0) > 3
            axis.set_xticks(range(k), names, rotation=90 if upright else 0)
            axis.set_yticks(range(k), names)
        if k <= MAX_COUNTED_CLASSES:
            for row, column in zip(*np.nonzero(counts), strict=True):
                ink = "#ffffff" if shares[row, column] > 0.55 else "#33383d"
                axis.text(column, row, f"{counts[row, column]}", ha="center", va="center", color=ink, fontsize=8)
        return svg(figure)


def bars(counts: Mapping[str, float], label: str = "pictures") -> bytes:
    """A bar for each name, in the order of ``counts`` -> SVG; of more than forty, only the largest and the smallest."""
    shown = dict(counts)
    if len(shown) > MAX_NAMED_CLASSES:
        ranked = sorted(shown, key=lambda name: -shown[name])
        extremes = {*ranked[: MAX_NAMED_CLASSES // 2], *ranked[-MAX_NAMED_CLASSES // 2 :]}
        shown = {name: count for name, count in shown.items() if name in extremes}
    names = [_shortened(name, 28) for name in shown]
    with styled_figure(width=6.4, height=0.9 + 0.24 * len(names), panels=1) as (figure, (axis,)):
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


def enlarged(pixels: np.ndarray, min_side: int = MIN_TILE_PIXELS) -> np.ndarray:
    """(H, W, C) enlarged by a whole factor, so that its longer side has ``min_side`` px or more."""
    zoom = max(1, math.ceil(min_side / max(pixels.shape[:2])))
    return pixels.repeat(zoom, 0).repeat(zoom, 1)


def _series(history: Sequence[Mapping[str, Any]], key: str) -> dict[str, list[tuple[int, float]]]:
    """The finite points (pictures seen, value) of each name under ``key``."""
    series: dict[str, list[tuple[int, float]]] = {}
    for record in history:
        for name, value in record.get(key, {}).items():
            if isinstance(value, int | float) and math.isfinite(value):
                series.setdefault(name, []).append((record["seen_pictures"], value))
    return series


@contextmanager
def styled_figure(width: float, height: float, panels: int) -> "Iterator[tuple[Figure, list[Axes]]]":
    """A figure of ``width`` × ``height`` inches with ``panels`` axes side by side, in the reports' style."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_SETTINGS), warnings.catch_warnings():
        # The browser has the glyphs that matplotlib's own font lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, list(figure.subplots(1, panels, squeeze=False)[0])


def svg(figure: "Figure") -> bytes:
    """The figure as SVG."""
    out = io.BytesIO()
    figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return out.getvalue()


def _over_pictures_seen(axis: "Axes") -> None:
    """Label the horizontal axis, with so few ticks that counts in the millions do not overlap."""
    axis.set_xlabel("pictures seen")
    axis.locator_params(axis="x", nbins=4)
    axis.xaxis.set_major_formatter(_thousands)


def _thousands(value: float, position: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:g}"


def _shortened(text: str, max_length: int) -> str:
    """At most ``max_length`` characters, all printable."""
    printable = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return printable if len(printable) <= max_length else printable[: max_length - 1] + "…"
