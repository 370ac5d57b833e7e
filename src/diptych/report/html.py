"""A report as one HTML page: no script, no external resources, all text escaped, at most six levels of headings."""

import re
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from diptych.escaping import for_html
from diptych.report.report import Caption, Card, Gallery, PageFigure, Report, Score, Table
from diptych.report.style import STYLE
from diptych.report.text import display_name, format_cell, format_fact, numeric_columns
from diptych.report.verdict import Verdict

WIDE_POINTS = 400.0  # a wider drawing is not shrunk to a phone but scrolled


def render_page(report: Report) -> str:
    """The whole page."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{for_html(report.title)}</title>
<style>{STYLE}</style>
</head>
<body>
<main>
<header><h1>{for_html(report.title)}</h1>{_contents(report)}</header>
{_body(report, 2)}
{"".join(_part(part, str(i)) for i, part in enumerate(report.parts, 1))}
</main>
<footer>Made with Diptych. Ranges are 95 % intervals; n is the number of pictures behind a score.</footer>
</body>
</html>
"""


def with_table(page: str, caption: str, table: Table) -> str:
    """A rendered page with a table added at its end; one of the same caption is replaced."""
    rendered = _table(caption, table)
    opening, end = rendered.partition("<thead>")[0], "</table></div>\n"
    if opening in page:
        before, _, rest = page.partition(opening)
        return before + rendered + rest.partition(end)[2]
    return page.replace("\n</main>", f"\n{rendered}</main>", 1)


def _contents(report: Report) -> str:
    if len(report.parts) < 2:
        return ""
    links = [f'<a href="#part-{i}">{for_html(part.title)}</a>' for i, part in enumerate(report.parts, 1)]
    return f'<nav aria-label="Sections">{"".join(links)}</nav>'


def _part(report: Report, section: str) -> str:
    """A section by its number; "2.1" is the first subsection of section 2."""
    level = 2 + section.count(".")
    return (
        f'<section class="part" id="part-{section}"><h{level}>{for_html(report.title)}</h{level}>'
        f"{_body(report, level + 1)}"
        f"{''.join(_part(part, f'{section}.{i}') for i, part in enumerate(report.parts, 1))}</section>\n"
    )


def _body(report: Report, level: int) -> str:
    """The verdict, what everybody wants to see, and folded away what few do; captions are headings of ``level``."""
    blocks = [
        _verdict(report.verdict),
        _scores(report, rare=False),
        _findings(report.findings),
        _pictures_and_tables(report, level, rare=False),
        _details(report, level),
    ]
    return "\n".join(block for block in blocks if block)


def _details(report: Report, level: int) -> str:
    """What is rarely needed, and the settings."""
    content = _scores(report, rare=True) + _pictures_and_tables(report, level, rare=True) + _facts(report.facts)
    return f"<details><summary>More figures and settings</summary>\n{content}</details>" if content else ""


def _pictures_and_tables(report: Report, level: int, *, rare: bool) -> str:
    def chosen(by_caption: Mapping[str, Any]) -> dict[str, Any]:
        return {caption: item for caption, item in by_caption.items() if (caption in report.rare) == rare}

    return "".join(
        (
            _figures(chosen(report.figures), level),
            *(_replay(caption, frames, level) for caption, frames in chosen(report.replays).items()),
            *(_cards(caption, cards, level) for caption, cards in chosen(report.cards).items()),
            *(_table(caption, table) for caption, table in chosen(report.tables).items()),
        )
    )


def _verdict(verdict: Verdict | None) -> str:
    if verdict is None:
        return ""
    return (
        f'<div class="verdict"><b>{for_html(verdict.sentence)}</b><p>{for_html(verdict.reason)}</p>'
        f"<p>Next: {for_html(verdict.next_step)}</p></div>"
    )


def _scores(report: Report, *, rare: bool) -> str:
    cards = [
        f'<div class="score"><dt>{for_html(display_name(name))}</dt><dd><b>{score.number}</b>'
        f"<span>{for_html(score.interval)}</span><span>n = {score.n:,}</span></dd></div>"
        for name, score in report.scores.items()
        if (name in report.rare) == rare
    ]
    return f'<dl class="scores">{"".join(cards)}</dl>' if cards else ""


def _findings(findings: list[str]) -> str:
    items = "".join(f"<li>{for_html(finding)}</li>" for finding in findings)
    return f'<ul class="findings">{items}</ul>' if items else ""


def _figures(figures: Mapping[str, PageFigure], level: int) -> str:
    """Pictures and galleries side by side, as far as there is room."""
    shown = "".join(
        _gallery(caption, figure, level)
        if isinstance(figure, Gallery)
        else _figure(caption, figure if isinstance(figure, bytes) else figure())
        for caption, figure in figures.items()
    )
    return f'<div class="figures">{shown}</div>\n' if shown else ""


def _figure(caption: str, data: bytes) -> str:
    picture = f'<img class="{_kind(data)[:3]}" alt="{for_html(caption)}" src="{_source(data)}">'
    if _is_wide(data):  # its text would be too small on a phone
        picture = f'<div class="wide" {_scrollable(caption)}>{picture}</div>'
    return f"<figure><figcaption>{for_html(caption)}</figcaption>{picture}</figure>\n"


def _is_wide(data: bytes) -> bool:
    """Whether a picture is a drawing of more than :data:`WIDE_POINTS`."""
    width = re.search(rb'<svg [^>]*width="([\d.]+)pt"', data[:2000])
    return width is not None and float(width[1]) > WIDE_POINTS


def _scrollable(name: str) -> str:
    """The attributes of an element that may be wider than a phone: the keyboard can reach and so scroll it."""
    return f'tabindex="0" role="group" aria-label="{for_html(name)}"'


def _lines(caption: Caption) -> str:
    """A caption; the style sheet breaks its lines as they are here."""
    return "\n".join(map(for_html, (caption,) if isinstance(caption, str) else caption))


def _gallery(caption: str, gallery: Gallery, level: int) -> str:
    """Pictures that wrap like words; those of a group stay together."""
    tiles = [
        f'<figure><figcaption>{_lines(text)}</figcaption><img class="{_kind(data)[:3]}" alt="{_lines(text)}" '
        f'src="{_source(data)}"></figure>'
        for text, data in zip(gallery.captions, gallery.pictures, strict=True)
    ]
    groups = ["".join(tiles[start : start + gallery.group]) for start in range(0, len(tiles), gallery.group)]
    items = "".join(f"<li>{group}</li>" for group in groups)
    opening = f'<div class="pictures" style="--pictures:{len(tiles)}">'
    return f'{opening}{_heading(caption, level)}<ul class="gallery">{items}</ul></div>\n'


def _heading(caption: str, level: int) -> str:
    return f'<h{min(level, 6)} class="caption">{for_html(caption)}</h{min(level, 6)}>'


def _replay(caption: str, frames: dict[str, bytes], level: int) -> str:
    """A slider of radio buttons, each before its frame, that mouse, finger and arrow keys move without a script."""
    name = f"replay-{sha256(b''.join(frames.values())).hexdigest()[:12]}"
    last = len(frames) - 1
    stops = "".join(
        f'<input type="radio" name="{name}" aria-label="{for_html(label)}" title="{for_html(label)}"'
        f"{' checked' * (i == last)}>{_figure(label, data)}"
        for i, (label, data) in enumerate(frames.items())
    )
    group = f'role="radiogroup" aria-label="{for_html(caption)}"'
    return f'{_heading(caption, level)}<div class="replay" style="--stops:{len(frames)}" {group}>{stops}</div>\n'


def _cards(caption: str, cards: list[Card], level: int) -> str:
    items = "".join(_card(card) for card in cards)
    return f'{_heading(caption, level)}<ul class="cards">{items}</ul>\n' if cards else ""


def _card(card: Card) -> str:
    pictures = "".join(
        f'<figure><figcaption>{for_html(label)}</figcaption><img class="{_kind(data)[:3]}" alt="{for_html(label)}" '
        f'src="{_source(data)}"></figure>'
        for label, data in card.pictures.items()
    )
    facts = "".join(
        f"<dt>{for_html(display_name(name))}</dt><dd>{for_html(format_cell(value))}</dd>"
        for name, value in card.facts.items()
        if value is not None
    )
    return f'<li><b>{for_html(card.title)}</b><div class="row">{pictures}</div><dl class="facts">{facts}</dl></li>\n'


def _source(data: bytes) -> str:
    return f"data:image/{_kind(data)};base64,{b64encode(data).decode()}"


def _kind(data: bytes) -> str:
    signatures = {b"\x89PNG": "png", b"\xff\xd8": "jpeg", b"GIF8": "gif"}
    return next((kind for start, kind in signatures.items() if data.startswith(start)), "svg+xml")


def _table(caption: str, table: Table) -> str:
    align_right = numeric_columns(table)
    head = "".join(_header(name, right) for name, right in zip(table.columns, align_right, strict=True))
    rows = "".join(
        f"<tr>{''.join(_cell(value, right) for value, right in zip(row, align_right, strict=True))}</tr>\n"
        for row in table.rows
    )
    return (
        f'<div class="table" {_scrollable(caption)}><table><caption>{for_html(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead>\n<tbody>{rows}</tbody></table></div>\n"
    )


def _header(name: str, right: bool) -> str:
    kind = ' class="n"' if right else ""
    return f'<th scope="col"{kind}>{for_html(name)}</th>' if name else f"<td{kind}></td>"


def _cell(value: Any, right: bool) -> str:
    tag = '<td class="n">' if right else "<td>"
    if isinstance(value, Score):
        return f"{tag}{value.number} {_bar(value)}<small>{for_html(value.interval)}</small></td>"
    return f"{tag}{for_html(format_cell(value))}</td>"


def _bar(score: Score) -> str:
    """A share and its interval drawn on a line from 0 to 1; empty for other scores."""
    if score.low is None or score.high is None or not 0 <= score.low <= score.value <= score.high <= 1:
        return ""
    ends = f"--low:{score.low:.3f};--high:{score.high:.3f};--value:{score.value:.3f}"
    return f'<span class="bar" style="{ends}" aria-hidden="true"></span> '


def _facts(facts: dict[str, Any]) -> str:
    items = "".join(
        f"<dt>{for_html(display_name(name))}</dt><dd>{for_html(format_fact(value))}</dd>"
        for name, value in facts.items()
        if value is not None
    )
    return f'<dl class="facts">{items}</dl>' if items else ""
