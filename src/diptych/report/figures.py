"""Figures: pictures as PNG, plots as SVG. The same input gives the same bytes, but for the signature of a mark.

The text of an SVG is drawn by the browser, so names in any script show; its ink follows the page, light or dark.
"""

import io
import math
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from diptych.marks import Generated, mark_if
from diptych.report.report import Caption, Gallery, PageFigure
from diptych.report.text import display_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, DARK_INK = "#5f666e", "#a3aab2"  # on a light page, and on a dark one
COLOURS = ["#12939f", "#d9822b", "#7a5fc2", "#3d8b4f", "#c2456b"]
DISTANCE_CAPTION = (
    "Distance of generated pictures from held-out ones during training: lower is better; the band is a 95 % interval, "
    "the line marks the moment whose weights the model has"
)
COPY_CAPTION = "Share of the generated pictures that look like copies of training pictures"
TILE_PIXELS = 120  # of a gallery on the page
MIN_TILE_PIXELS = 48  # smaller pictures are enlarged to at least this, pixel by pixel
MAX_NAMED_CLASSES = 40  # more names are not legible on an axis
MAX_COUNTED_CLASSES = 20  # more classes leave no room for numbers in the cells
_SETTINGS: Any = {
    "svg.fonttype": "none", "svg.hashsalt": "diptych", "font.size": 10, "text.color": INK,
    "axes.edgecolor": INK, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": INK,
    "grid.alpha": 0.2, "legend.frameon": False, "text.parse_math": False,
}  # fmt: skip
_DARK_STYLE = (
    f'<style>@media (prefers-color-scheme: dark) {{ [style*="fill: {INK}"] {{ fill: {DARK_INK} !important }} '
    f'[style*="stroke: {INK}"] {{ stroke: {DARK_INK} !important }} }}</style>'
)


def grid(pictures: np.ndarray, columns: int | None = None, generated: Generated | None = None) -> bytes:
    """Pictures in a grid, row by row: (N, H, W, 3) uint8 -> PNG.

    Small ones are enlarged by a whole factor, so that pixels stay square and sharp.

    Parameters
    ----------
    columns
        None: about as wide as high.
    generated
        What the grid is marked with; None: all pictures are real.
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
    return png(canvas, generated)


def gallery(
    pictures: Iterable[np.ndarray],
    captions: Sequence[Caption],
    group: int = 1,
    generated: Iterable[Generated | None] = (),
) -> Gallery:
    """Pictures (H, W, 3) uint8 of any sizes, each with its caption; small ones are enlarged pixel by pixel.

    ``generated`` is what each is marked with, None for a real one; empty: all are real.
    """
    marks = chain(generated, repeat(None))
    tiles = [picture(enlarged(pixels, TILE_PIXELS // 2), facts) for pixels, facts in zip(pictures, marks, strict=False)]
    return Gallery(tiles, list(captions), group)


def curves(history: Sequence[Mapping[str, Any]]) -> dict[str, PageFigure]:
    """Curves of the losses and of the scores over pictures seen, from the records of ``history.jsonl``.

    By caption, as functions that draw an SVG; a single moment makes no curve, so there may be none.
    """
    panels = {"Losses during training": "losses", "Scores during training": "scores"}
    shown = {caption: _series(history, key, min_points=2) for caption, key in panels.items()}
    return {caption: partial(_curve, series) for caption, series in shown.items() if series}


def _curve(series: Mapping[str, Sequence[tuple[int, float]]]) -> bytes:
    with styled_figure(width=4.6, height=3.0) as (figure, axis):
        for colour, (name, points) in zip(COLOURS * len(series), series.items(), strict=False):
            axis.plot(*zip(*points, strict=True), color=colour, linewidth=1.6, label=shortened(display_name(name), 30))
        _over_pictures_seen(axis)
        if len(series) > 1:
            axis.legend()
        else:
            axis.set_ylabel(shortened(display_name(next(iter(series))), 30))
        return svg(figure)


def monitor_curves(history: Sequence[Mapping[str, Any]], chosen: int) -> dict[str, bytes]:
    """Kernel distance with its interval, and copy rate, over pictures seen -> SVG by caption, if there are moments.

    A vertical line marks ``chosen``, the pictures seen by the chosen model. The distance's axis is linear up to 0.1 and
    logarithmic beyond, since runs begin at a hundred times the distance that they end at.
    """
    series = _series(history, "scores", min_points=2)
    if "kernel_distance" not in series:
        return {}
    with styled_figure(width=4.6, height=3.0) as (figure, axis):
        _monitor_curve(axis, series["kernel_distance"], chosen, "distance")
        low, high = ([value for _, value in series[f"kernel_distance_{end}"]] for end in ("low", "high"))
        axis.fill_between([m for m, _ in series["kernel_distance"]], low, high, color=COLOURS[0], alpha=0.2)
        axis.set_yscale("symlog", linthresh=0.1)
        axis.yaxis.set_major_formatter("{x:g}")  # not as powers of ten, which need mathematical notation
        drawn = {DISTANCE_CAPTION: svg(figure)}
    if "copy_rate" in series:
        with styled_figure(width=4.6, height=3.0) as (figure, axis):
            _monitor_curve(axis, series["copy_rate"], chosen, "copy rate")
            axis.set_ylim(0, max(0.1, *axis.get_ylim()))
            axis.yaxis.set_major_formatter(percent)
            drawn[COPY_CAPTION] = svg(figure)
    return drawn


def _monitor_curve(axis: "Axes", points: Sequence[tuple[int, float]], chosen: int, label: str) -> None:
    axis.plot(*zip(*points, strict=True), color=COLOURS[0], linewidth=1.6, marker="o", markersize=3)
    axis.axvline(chosen, color=INK, linewidth=1, linestyle=":")
    axis.set(ylabel=label)
    _over_pictures_seen(axis)


def confusion(matrix: np.ndarray, classes: Sequence[str]) -> bytes:
    """A (K, K) confusion matrix, true class by row, predicted class by column -> SVG.

    Colour is the share of the row, so that rare classes are as visible as frequent ones.
    """
    counts = np.asarray(matrix)
    k = len(classes)
    side = min(10.0, max(3.2, 1.6 + 0.42 * min(k, MAX_NAMED_CLASSES)))
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    with styled_figure(width=side, height=side) as (figure, axis):
        axis.imshow(shares, cmap="BuGn", vmin=0, vmax=1, interpolation="nearest")
        axis.grid(False)
        axis.set(xlabel="predicted", ylabel="true")
        if k <= MAX_NAMED_CLASSES:
            names = [shortened(name, 18) for name in classes]
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
    names = [shortened(name, 28) for name in shown]
    with styled_figure(width=5.4, height=0.9 + 0.24 * len(names)) as (figure, axis):
        axis.barh(range(len(names)), list(shown.values()), color=COLOURS[0], height=0.7)
        axis.set_yticks(range(len(names)), names)
        axis.invert_yaxis()
        axis.grid(False, axis="y")
        axis.set_xlabel(label)
        axis.xaxis.set_major_formatter(_thousands)
        return svg(figure)


def png(pixels: np.ndarray, generated: Generated | None = None) -> bytes:
    """(H, W, 3 or 4) uint8 as a PNG, marked where it is ``generated``."""
    out = io.BytesIO()
    # At the usual level of compression: the highest takes ten times as long, for 1 % fewer bytes.
    Image.fromarray(np.ascontiguousarray(pixels)).save(out, "PNG")
    return mark_if(out.getvalue(), generated)


def picture(pixels: np.ndarray, generated: Generated | None = None) -> bytes:
    """(H, W, 3) uint8 as PNG or JPEG, whichever is shorter: drawings stay exact, photographs stay small.

    It is marked where it is ``generated``.
    """
    image, photograph, drawing = Image.fromarray(np.ascontiguousarray(pixels)), io.BytesIO(), io.BytesIO()
    image.save(photograph, "JPEG", quality=85)
    image.save(drawing, "PNG")
    return mark_if(min(drawing.getvalue(), photograph.getvalue(), key=len), generated)


def enlarged(pixels: np.ndarray, min_side: int = MIN_TILE_PIXELS) -> np.ndarray:
    """(H, W, C) enlarged by a whole factor, so that its longer side has ``min_side`` px or more."""
    zoom = max(1, math.ceil(min_side / max(pixels.shape[:2])))
    return pixels.repeat(zoom, 0).repeat(zoom, 1)


def percent(value: float, position: float) -> str:
    """A share of an axis in percent."""
    return f"{100 * value:.4g}%"


def _series(history: Sequence[Mapping[str, Any]], key: str, min_points: int) -> dict[str, list[tuple[int, float]]]:
    """The finite points (pictures seen, value) of each name under ``key`` that has ``min_points`` of them or more."""
    series: dict[str, list[tuple[int, float]]] = {}
    for record in history:
        for name, value in record.get(key, {}).items():
            if isinstance(value, int | float) and math.isfinite(value):
                series.setdefault(name, []).append((record["seen_pictures"], value))
    return {name: points for name, points in series.items() if len(points) >= min_points}


@contextmanager
def styled_figure(width: float, height: float) -> "Iterator[tuple[Figure, Axes]]":
    """A figure of ``width`` × ``height`` inches with one pair of axes, in the reports' style."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_SETTINGS), warnings.catch_warnings():
        # The browser has the glyphs that matplotlib's own font lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, figure.subplots()


def svg(figure: "Figure") -> bytes:
    """The figure as SVG on a transparent ground, whose ink is light where the page is dark."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    for patch in (figure.patch, *(axes.patch for axes in figure.axes)):
        patch.set_facecolor("none")
    out = io.BytesIO()
    # `savefig` would draw it twice, for layouts that take a drawing to be known; this one computes its own.
    FigureCanvasSVG(figure).print_svg(out, metadata={"Date": None, "Creator": None})  # type: ignore[no-untyped-call]
    return out.getvalue().replace(b"<defs>", f"<defs>{_DARK_STYLE}".encode(), 1)


def _over_pictures_seen(axis: "Axes") -> None:
    """Label the horizontal axis, with so few ticks that counts in the millions do not overlap."""
    axis.set_xlabel("pictures seen")
    axis.locator_params(axis="x", nbins=4)
    axis.xaxis.set_major_formatter(_thousands)


def _thousands(value: float, position: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:g}"


def shortened(text: str, max_length: int) -> str:
    """At most ``max_length`` characters, all printable."""
    printable = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return printable if len(printable) <= max_length else printable[: max_length - 1] + "…"
