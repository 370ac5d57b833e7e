"""``Report``, the result of every check, evaluation and training run."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from diptych.files import write_text
from diptych.report.verdict import Verdict

#: The scores of saved models that are shares.
SHARES = frozenset(
    {"accuracy", "balanced_accuracy", "macro_f1", "calibration_error", "copy_rate", "worst_group_accuracy"}
)

#: The scores of recognizers that few people need.
RARE_SCORES = frozenset({"macro_f1", "calibration_error", "aurc", "coverage", "set_size"})


@dataclass(frozen=True)
class Score:
    """A value with its 95 % interval; ``low`` and ``high`` are ``None`` where no interval is known.

    ``n`` is the number of pictures that the value is computed from. A ``share`` lies in 0..1 and is shown in percent.
    """

    value: float
    low: float | None
    high: float | None
    n: int
    share: bool = False

    @classmethod
    def of_json(cls, name: str, record: Mapping[str, Any]) -> "Score":
        """The score of this name that :meth:`json` has written."""
        return cls(record["value"], record["low"], record["high"], record["n"], share=name in SHARES)

    def __str__(self) -> str:
        return f"{self.number}{self.interval and f' ({self.interval})'}"

    @property
    def number(self) -> str:
        """The value as text, "98.5%" or "2.500"."""
        return self._text(self.value)

    @property
    def interval(self) -> str:
        """The interval as text, "94.1% to 98.3%"; empty where none is known."""
        if self.low is None or self.high is None:
            return ""
        return f"{self._text(self.low)} to {self._text(self.high)}"

    def _text(self, value: float) -> str:
        return f"{value:.1%}" if self.share and math.isfinite(value) else format_number(value)

    def json(self) -> dict[str, float | int | None]:
        """``{"value", "low", "high", "n"}``."""
        return {
            "value": to_jsonable(self.value),
            "low": to_jsonable(self.low),
            "high": to_jsonable(self.high),
            "n": self.n,
        }


@dataclass
class Table:
    """A table; a cell is text, a number, a Score, or ``None`` for an empty one."""

    columns: list[str]
    rows: list[list[Any]]

    def json(self) -> dict[str, Any]:
        """``{"columns", "rows"}``."""
        return {"columns": self.columns, "rows": to_jsonable(self.rows)}


@dataclass(frozen=True)
class Card:
    """Pictures that belong together, with facts about them.

    Attributes
    ----------
    title
        A few words.
    pictures
        PNG or JPEG, by label.
    facts
        JSON-able.
    """

    title: str
    pictures: dict[str, bytes]
    facts: dict[str, Any]

    def json(self) -> dict[str, Any]:
        """``{"title", ...facts}``."""
        return {"title": self.title, **to_jsonable(self.facts)}


Caption = str | tuple[str, ...]  # one line, or several


@dataclass(frozen=True)
class Gallery:
    """Pictures of any sizes, each below its caption, as many in a row as the page has room for.

    Attributes
    ----------
    pictures
        PNG or JPEG.
    captions
        One for each picture; may have several lines.
    group
        As many pictures stay together in a row; 2 for pairs.
    """

    pictures: list[bytes]
    captions: Sequence[Caption]
    group: int = 1


PageFigure = bytes | Callable[[], bytes] | Gallery


@dataclass
class Report:
    """Scores with intervals, findings, tables, figures and cards.

    Attributes
    ----------
    title
        The heading.
    scores
        By name ("accuracy"); underscores are shown as spaces.
    findings
        Sentences: results and recommendations.
    tables, figures
        By caption; a figure is a PNG, a JPEG, a GIF or an SVG, a function that draws one when a page shows it (drawing
        may take longer than training a small network), or a gallery of pictures.
    replays
        By caption, pictures of the same thing at several moments, by label; the page shows them with a slider.
    cards
        By caption; all cards of one caption have the same facts.
    facts
        Settings and counts, JSON-able.
    parts
        Reports within this one, shown as sections.
    verdict
        What it all comes to, shown first; ``None``: there is none to give.
    rare
        Names of scores, and captions of figures, replays and tables, that few people need: the page folds them away,
        as it does the facts.
    """

    title: str
    scores: dict[str, Score] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)
    tables: dict[str, Table] = field(default_factory=dict)
    figures: dict[str, PageFigure] = field(default_factory=dict)
    replays: dict[str, dict[str, bytes]] = field(default_factory=dict)
    cards: dict[str, list[Card]] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    parts: "list[Report]" = field(default_factory=list)
    verdict: Verdict | None = None
    rare: set[str] = field(default_factory=set)

    def __str__(self) -> str:
        from diptych.report.text import render_text

        return render_text(self)

    def _repr_html_(self) -> str:
        from diptych.report import notebook

        return notebook.report(self)

    def json(self) -> dict[str, Any]:
        """Everything except the pictures; NaN and infinity become ``None``.

        "verdict" is the verdict's word, "verdict_text" all of it in sentences.
        """
        record: dict[str, Any] = {
            "title": self.title,
            **(self.verdict.answer() if self.verdict else {}),
            "scores": {name: score.json() for name, score in self.scores.items()},
            "findings": list(self.findings),
            "tables": {name: table.json() for name, table in self.tables.items()},
            "facts": to_jsonable(self.facts),
        }
        if self.cards:
            record["cards"] = {caption: [card.json() for card in cards] for caption, cards in self.cards.items()}
        if self.parts:
            record["parts"] = [part.json() for part in self.parts]
        return record

    def html(self) -> str:
        """One page without external resources; the same report gives the same bytes."""
        from diptych.report.html import render_page

        return render_page(self)

    def save(self, path: str | Path) -> Path:
        """Write the page to ``path``; returns the path."""
        target = Path(path)
        write_text(target, self.html())
        return target


def format_number(value: float) -> str:
    """A number as text: three decimals below 100, one below 1,000, thousands separated; "–" for NaN."""
    if value != value:
        return "–"
    if (float(value).is_integer() and abs(value) >= 2) or math.isinf(value):
        return f"{value:,.0f}"
    if abs(value) >= 100:
        return f"{value:,.1f}"
    return f"{value:.3g}" if 0 < abs(value) < 0.001 else f"{value:.3f}"


def to_jsonable(value: Any) -> Any:
    """``value`` as strict JSON can hold it: arrays as lists, paths as text, NaN and infinity as ``None``."""
    if isinstance(value, Score | Table | Card):
        return value.json()
    if isinstance(value, Mapping):
        return {str(k): to_jsonable(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set):
        return [to_jsonable(v) for v in value]
    if hasattr(value, "tolist"):  # numpy and torch
        return to_jsonable(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, bool | int | str | None) else str(value)
