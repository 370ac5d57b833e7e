"""What a notebook shows of pictures, models and reports: a little HTML, escaped, in the notebook's own colours."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from diptych.escaping import for_html
from diptych.report.figures import picture
from diptych.report.report import Report, Score
from diptych.report.text import display_name, format_cell

MAX_PICTURES = 12
SIDE_PIXELS = 96
_CAPTION = f"max-width:{SIDE_PIXELS}px;overflow-wrap:anywhere;font-size:smaller;line-height:1.2"

Pixels = NDArray[np.uint8]


def pictures(title: str, thumbnails: Sequence[Pixels | None], captions: Sequence[str], total: int) -> str:
    """Thumbnails (H, W, 3) with their captions, of ``total`` pictures; ``None`` for one that cannot be shown."""
    tiles = "".join(_tile(*tile) for tile in zip(thumbnails, captions, strict=True))
    more = f"<p>{len(thumbnails)} of {total:,} are shown.</p>" if total > len(thumbnails) else ""
    return _block(title, f'<div style="display:flex;flex-wrap:wrap;gap:8px">{tiles}</div>{more}')


def model(title: str, facts: Mapping[str, Any], scores: Mapping[str, Any]) -> str:
    """A model: its facts, and its scores, each a number or ``{"value", "low", "high", "n"}``."""
    values = {display_name(name): _score(score) for name, score in scores.items()}
    return _block(title, _table({**facts, **values}))


def report(shown: Report) -> str:
    """The verdict, the scores and the findings of a report; its page has all the rest."""
    verdict = "" if shown.verdict is None else f"<p>{for_html(str(shown.verdict))}</p>"
    scores = _table({display_name(name): score for name, score in shown.scores.items()})
    findings = "".join(f"<li>{for_html(finding)}</li>" for finding in shown.findings)
    page = "<p><code>report.save(&quot;report.html&quot;)</code> writes the page with its tables and figures.</p>"
    return _block(shown.title, f"{verdict}{scores}{findings and f'<ul>{findings}</ul>'}{page}")


def _block(title: str, body: str) -> str:
    return f"<div><p><b>{for_html(title)}</b></p>{body}</div>"


def _table(rows: Mapping[str, Any]) -> str:
    cells = "".join(
        f'<tr><td style="text-align:left">{for_html(name)}</td>'
        f'<td style="text-align:left">{for_html(format_cell(value))}</td></tr>'
        for name, value in rows.items()
    )
    return f'<table style="color:inherit">{cells}</table>' if cells else ""


def _score(score: Any) -> Any:
    if not isinstance(score, Mapping):
        return score
    return None if score["value"] is None else Score(score["value"], score["low"], score["high"], score["n"])


def _tile(pixels: Pixels | None, caption: str) -> str:
    shown = "" if pixels is None else _image(pixels)
    return f'<div style="{_CAPTION}">{shown}<div>{for_html(caption)}</div></div>'


def _image(pixels: Pixels) -> str:
    """The largest centred square of a picture, as a data URI of a few kilobytes."""
    side = min(SIDE_PIXELS, *pixels.shape[:2])
    square = picture(np.asarray(ImageOps.fit(Image.fromarray(pixels), (side, side), Image.Resampling.BICUBIC)))
    kind = "png" if square.startswith(b"\x89PNG") else "jpeg"
    rendering = "pixelated" if side < SIDE_PIXELS else "auto"
    return (
        f'<img alt="" width="{SIDE_PIXELS}" height="{SIDE_PIXELS}" style="image-rendering:{rendering};margin:0" '
        f'src="data:image/{kind};base64,{b64encode(square).decode()}">'
    )
