"""A report as plain text, for terminals and logs."""

import textwrap
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from unicodedata import east_asian_width

from diptych.escaping import for_terminal
from diptych.report.report import Card, Report, Score, Table, format_number
from diptych.report.verdict import Verdict

WIDTH = 96
ABBREVIATIONS = ("aurc", "auroc", "cas", "f1", "fpr", "tpr")


def render_text(report: Report) -> str:
    """The whole report without its pictures."""
    return "\n".join(_lines(report, "=")) + "\n"


def render_brief(report: Report) -> str:
    """What most people need of it: without rare figures, settings, and the next step, which a command ends with."""
    return "\n".join(_lines(_without_rare(report), "=", next_step=False)) + "\n"


def _without_rare(report: Report) -> Report:
    return replace(
        report,
        scores={name: score for name, score in report.scores.items() if name not in report.rare},
        tables={caption: table for caption, table in report.tables.items() if caption not in report.rare},
        facts={},
        parts=[_without_rare(part) for part in report.parts],
    )


def format_cell(value: Any) -> str:
    """The value of a table's cell on one line."""
    if isinstance(value, float):
        return format_number(value)
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else format_fact(value)


def format_fact(value: Any) -> str:
    """A setting or a count on one line, numbers in their shortest form."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return ", ".join(format_fact(v) for v in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{display_name(str(k))} {format_fact(v)}" for k, v in value.items() if v is not None)
    return str(value)


def numeric_columns(table: Table) -> list[bool]:
    """Which columns hold nothing but numbers, which are aligned right."""
    return [
        bool(table.rows) and all(_is_numeric(row[i]) or row[i] is None for row in table.rows)
        for i in range(len(table.columns))
    ]


def _is_numeric(value: Any) -> bool:
    return isinstance(value, int | float | Score) and not isinstance(value, bool)


def _lines(report: Report, rule: str, *, next_step: bool = True) -> list[str]:
    title = for_terminal(report.title)
    lines = [title, rule * display_width(title)]
    if report.verdict is not None:
        lines += ["", *verdict_lines(report.verdict, next_step=next_step)]
    if report.scores:
        rows = [[display_name(k), s.number, s.interval, f"n = {s.n:,}"] for k, s in report.scores.items()]
        lines += ["", *_columns(rows)]
    if report.findings:
        lines.append("")
        for finding in report.findings:
            lines += textwrap.wrap(for_terminal(finding), WIDTH, initial_indent="- ", subsequent_indent="  ")
    for caption, table in (report.tables | _card_tables(report.cards)).items():
        lines += ["", for_terminal(caption), *_table(table)]
    if report.facts:
        lines += ["", *_columns([[display_name(k), format_fact(v)] for k, v in report.facts.items() if v is not None])]
    for part in report.parts:
        lines += ["", "", *_lines(part, "-")]
    return lines


def verdict_lines(verdict: Verdict, *, next_step: bool = True) -> list[str]:
    """The verdict in lines: the sentence, the reason, and what to do next."""
    sections = [verdict.sentence, verdict.reason, *([f"Next: {verdict.next_step}"] if next_step else [])]
    wrapper = textwrap.TextWrapper(WIDTH, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False)
    # Paths stay whole, to be copied.
    return [line for section in sections for line in wrapper.wrap(for_terminal(section))]


def display_name(name: str) -> str:
    """A key as words, abbreviations in capitals: "macro_f1" -> "macro F1"."""
    return " ".join(word.upper() if word in ABBREVIATIONS else word for word in name.split("_"))


def _card_tables(cards: Mapping[str, list[Card]]) -> dict[str, Table]:
    """The facts of the cards of each caption as a table, a row for each card."""
    return {
        caption: Table(
            ["", *(display_name(name) for name in group[0].facts)],
            [[card.title, *card.facts.values()] for card in group],
        )
        for caption, group in cards.items()
        if group
    }


def _table(table: Table) -> list[str]:
    return _columns([table.columns, *[[format_cell(v) for v in row] for row in table.rows]], numeric_columns(table))


def _columns(rows: list[list[str]], align_right: list[bool] | None = None) -> list[str]:
    rows = [list(map(for_terminal, row)) for row in rows]
    widths = [max(display_width(row[i]) for row in rows) for i in range(len(rows[0]))]
    align_right = align_right or [False] * len(widths)
    return [
        "  " + "  ".join(pad(*column) for column in zip(row, widths, align_right, strict=True)).rstrip() for row in rows
    ]


def pad(value: str, width: int, right: bool) -> str:
    """The value with spaces to a width in terminal columns, before it where it is aligned right."""
    space = " " * (width - display_width(value))
    return space + value if right else value + space


def display_width(value: str) -> int:
    """Width in terminal columns: Chinese, Japanese and Korean characters take two."""
    return sum(2 if east_asian_width(c) in "WF" else 1 for c in value)
