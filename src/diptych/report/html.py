"""A report as one HTML page: no script, no external resources, all text escaped."""

from base64 import b64encode
from hashlib import sha256
from html import escape
from typing import Any

from diptych.report.report import Card, Report, Score, Table, format_number
from diptych.report.style import STYLE
from diptych.report.text import display_name, format_cell, format_fact, is_numeric
from diptych.report.verdict import Verdict


def render_page(report: Report) -> str:
    """The whole page."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{_safe(report.title)}</title>
<style>{STYLE}</style>
</head>
<body>
<main>
<header><h1>{_safe(report.title)}</h1>{_contents(report)}</header>
{_body(report)}
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
    links = [f'<a href="#part-{i}">{_safe(part.title)}</a>' for i, part in enumerate(report.parts, 1)]
    return f"<nav>{''.join(links)}</nav>"


def _part(report: Report, section: str) -> str:
    """A section by its number; "2.1" is the first subsection of section 2."""
    level = 2 + section.count(".")
    return (
        f'<section class="part" id="part-{section}"><h{level}>{_safe(report.title)}</h{level}>{_body(report)}'
        f"{''.join(_part(part, f'{section}.{i}') for i, part in enumerate(report.parts, 1))}</section>\n"
    )


def _body(report: Report) -> str:
    return "\n".join(
        block
        for block in (
            _verdict(report.verdict),
            _scores(report.scores),
            _findings(report.findings),
            _figures(report.figures),
            "".join(_replay(caption, frames) for caption, frames in report.replays.items()),
            "".join(_cards(caption, cards) for caption, cards in report.cards.items()),
            "".join(_table(caption, table) for caption, table in report.tables.items()),
            _facts(report.facts),
        )
        if block
    )


def _verdict(verdict: Verdict | None) -> str:
    if verdict is None:
        return ""
    return (
        f'<div class="verdict"><b>{_safe(verdict.sentence)}</b><p>{_safe(verdict.reason)}</p>'
        f"<p>Next: {_safe(verdict.next_step)}</p></div>"
    )


def _scores(scores: dict[str, Score]) -> str:
    cards = [
        f'<div class="score"><dt>{_safe(display_name(name))}</dt><dd><b>{format_number(score.value)}</b>'
        f"<span>{_safe(score.interval)}</span><span>n = {score.n:,}</span></dd></div>"
        for name, score in scores.items()
    ]
    return f'<dl class="scores">{"".join(cards)}</dl>' if cards else ""


def _findings(findings: list[str]) -> str:
    items = "".join(f"<li>{_safe(finding)}</li>" for finding in findings)
    return f'<ul class="findings">{items}</ul>' if items else ""


def _figures(figures: dict[str, bytes]) -> str:
    shown = "".join(_figure(caption, data) for caption, data in figures.items())
    return f'<div class="figures">{shown}</div>' if shown else ""


def _figure(caption: str, data: bytes) -> str:
    return (
        f'<figure><img class="{_kind(data)[:3]}" alt="{_safe(caption)}" src="{_source(data)}">'
        f"<figcaption>{_safe(caption)}</figcaption></figure>\n"
    )


def _replay(caption: str, frames: dict[str, bytes]) -> str:
    """A slider of radio buttons, each before its frame, that mouse, finger and arrow keys move without a script."""
    name = f"replay-{sha256(b''.join(frames.values())).hexdigest()[:12]}"
    last = len(frames) - 1
    stops = "".join(
        f'<input type="radio" name="{name}" aria-label="{_safe(label)}" title="{_safe(label)}"'
        f"{' checked' * (i == last)}>{_figure(label, data)}"
        for i, (label, data) in enumerate(frames.items())
    )
    return f'<h3 class="caption">{_safe(caption)}</h3><div class="replay" style="--stops:{len(frames)}">{stops}</div>\n'


def _cards(caption: str, cards: list[Card]) -> str:
    items = "".join(_card(card) for card in cards)
    return f'<h3 class="caption">{_safe(caption)}</h3><ul class="cards">{items}</ul>\n' if cards else ""


def _card(card: Card) -> str:
    pictures = "".join(
        f'<figure><img class="{_kind(data)[:3]}" alt="{_safe(label)}" src="{_source(data)}">'
        f"<figcaption>{_safe(label)}</figcaption></figure>"
        for label, data in card.pictures.items()
    )
    facts = "".join(
        f"<dt>{_safe(display_name(name))}</dt><dd>{_safe(format_cell(value))}</dd>"
        for name, value in card.facts.items()
        if value is not None
    )
    return f'<li><div class="row">{pictures}</div><b>{_safe(card.title)}</b><dl class="facts">{facts}</dl></li>\n'


def _source(data: bytes) -> str:
    return f"data:image/{_kind(data)};base64,{b64encode(data).decode()}"


def _kind(data: bytes) -> str:
    signatures = {b"\x89PNG": "png", b"\xff\xd8": "jpeg"}
    return next((kind for start, kind in signatures.items() if data.startswith(start)), "svg+xml")


def _table(caption: str, table: Table) -> str:
    align_right = [any(is_numeric(row[i]) for row in table.rows) for i in range(len(table.columns))]
    tags = ['<th class="n">' if right else "<th>" for right in align_right]
    head = "".join(f"{tag}{_safe(name)}</th>" for tag, name in zip(tags, table.columns, strict=True))
    rows = "".join(
        f"<tr>{''.join(_cell(value, right) for value, right in zip(row, align_right, strict=True))}</tr>\n"
        for row in table.rows
    )
    return (
        f'<div class="table"><table><caption>{_safe(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead>\n<tbody>{rows}</tbody></table></div>\n"
    )


def _cell(value: Any, right: bool) -> str:
    tag = '<td class="n">' if right else "<td>"
    if isinstance(value, Score):
        return f"{tag}{format_number(value.value)} {_bar(value)}<small>{_safe(value.interval)}</small></td>"
    return f"{tag}{_safe(format_cell(value))}</td>"


def _bar(score: Score) -> str:
    """A share and its interval drawn on a line from 0 to 1; empty for other scores."""
    if score.low is None or score.high is None or not 0 <= score.low <= score.value <= score.high <= 1:
        return ""
    ends = f"--low:{score.low:.3f};--high:{score.high:.3f};--value:{score.value:.3f}"
    return f'<span class="bar" style="{ends}" aria-hidden="true"></span> '


def _facts(facts: dict[str, Any]) -> str:
    items = "".join(f"<dt>{_safe(display_name(k))}</dt><dd>{_safe(format_fact(v))}</dd>" for k, v in facts.items())
    return f'<details open><summary>Details</summary><dl class="facts">{items}</dl></details>' if items else ""


def _safe(text: str) -> str:
    # Control characters (a file name may hold them) are not allowed in HTML, even escaped.
    return escape("".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text))
