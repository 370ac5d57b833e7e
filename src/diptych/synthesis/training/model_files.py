"""What goes into an artefact beside the weights: data facts, model card, report page."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diptych.artefact import Page
from diptych.report import Report, Score, Table, figures
from diptych.report.text import words
from diptych.synthesis.datasets import PreparedData

if TYPE_CHECKING:
    from diptych.synthesis.training.monitor import RunResult

NAMES = {"gan": "GAN", "vae": "VAE", "flow": "flow"}
WATCHED = (
    "How far made pictures are from held-out ones (lower is better; the band is a 95 % interval), and how many look "
    "like copies of training pictures; the line marks the moment that the model is of"
)
LIMITS = (
    "Every picture that this model makes is made, not taken: it shows nothing that happened, and must not be "
    "passed off as a photograph.",
    "It has learnt from the pictures above only. What they leave out it cannot make, and what they hold too much "
    "of it makes too much of.",
    "It may have learnt some pictures by heart. Before sharing samples of private pictures, compare them with "
    "those it was fitted on.",
)


@dataclass(frozen=True)
class SavedPage:
    """A page that was read from a file."""

    text: str

    def html(self) -> str:
        """The page."""
        return self.text


@dataclass(frozen=True)
class ModelFiles:
    """Data facts for ``data.json``, the model card for ``README.md``, the page for ``report.html``."""

    data: dict[str, Any] = field(default_factory=dict)
    card: str = ""
    page: Page | None = None


def make_model_files(
    kind: str,
    prepared: PreparedData,
    facts: Mapping[str, Any],
    ending: "RunResult",
    history: Sequence[Mapping[str, Any]],
    grid: bytes,
    frames: Mapping[str, bytes],
) -> ModelFiles:
    """The papers of a model that has just been fitted.

    Parameters
    ----------
    facts
        Choices and circumstances of the run.
    ending
        What the run hands over.
    history
        The records of ``history.jsonl``.
    grid
        Samples with fixed seeds, a PNG.
    frames
        The same as the run went on, by what they show.
    """
    data = _data(prepared)
    card = _card(kind, data, facts, ending)
    return ModelFiles(data, card, _report(kind, prepared, facts, ending, history, grid, frames))


def read_model_files(folder: Path) -> ModelFiles:
    """The papers of a saved model, as far as they are there."""

    def text(name: str) -> str:
        path = folder / name
        return path.read_text(encoding="utf-8") if path.exists() else ""

    page = text("report.html")
    return ModelFiles(json.loads(text("data.json") or "{}"), text("README.md"), SavedPage(page) if page else None)


def _data(prepared: PreparedData) -> dict[str, Any]:
    return {
        "pictures": len(prepared.train),
        "held_out": len(prepared.held) if prepared.held is not None else 0,
        "size": prepared.size,
        "classes": prepared.train.counts() if prepared.classes else {},
        "synthetic": int((prepared.train.origins != "real").sum()),
        "fingerprint": prepared.train.fingerprint(),
        "skipped": [str(error) for error in prepared.train.skipped],
    }


def _card(kind: str, data: Mapping[str, Any], facts: Mapping[str, Any], ending: "RunResult") -> str:
    size, classes = data["size"], data["classes"]
    told = "Conditional on class: " + ", ".join(f"{n} ({c})" for n, c in classes.items()) if classes else ""
    made = f", {data['synthetic']} of them made or part-made ones" if data["synthetic"] else ""
    values = "\n".join(f"| {words(name)} | {_score(value, 0)} |" for name, value in ending.scores.items())
    choices = "\n".join(f"- {words(name)}: {value}" for name, value in facts.items())
    return f"""# A {NAMES[kind]} that makes pictures of {size} × {size} pixels

Fitted with Diptych on {data["pictures"]} pictures{made}; {data["held_out"]} more were held out for scores. {told}

## Use

```python
import diptych

images = diptych.load("this folder").sample(16, seed=0)   # picture i depends on seed + i and its label only
```

## Limits and provenance

{chr(10).join("- " + limit for limit in (*ending.notes, *LIMITS))}

## Scores at the end of the run

| what | value |
|---|---|
{values}

## How it was fitted

{choices}
"""


def _score(value: float | Mapping[str, Any], n: int) -> Score:
    """A score that may have an interval and a count of its own."""
    return Score(**value) if isinstance(value, Mapping) else Score(value, None, None, n)


def _without_looks(history: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The records without what has a figure of its own."""
    return [
        {**record, "scores": {k: v for k, v in record["scores"].items() if not k.startswith(("kernel_", "copy_"))}}
        for record in history
    ]


def _report(
    kind: str,
    prepared: PreparedData,
    facts: Mapping[str, Any],
    ending: "RunResult",
    history: Sequence[Mapping[str, Any]],
    grid: bytes,
    frames: Mapping[str, bytes],
) -> Report:
    held = len(prepared.held) if prepared.held is not None else 0
    rows = f" A row each: {', '.join(prepared.classes[:10])}." if prepared.classes else ""
    report = Report(f"A {NAMES[kind]} of {len(prepared.train)} pictures")
    report.scores = {name: _score(value, held or len(prepared.train)) for name, value in ending.scores.items()}
    report.findings = [*ending.notes, *LIMITS]
    report.figures[f"Made pictures, seeds 0, 1, 2, …; not selected.{rows}"] = grid
    if len(frames) > 1:
        report.replays[f"The same seeds as training went on.{rows}"] = dict(frames)
    if any("kernel_distance" in record["scores"] for record in history):
        report.figures[WATCHED] = figures.monitor_figure(history, ending.seen_pictures)
    report.figures["Losses and scores over the pictures seen"] = figures.curves(_without_looks(history))
    if prepared.classes:
        report.tables["Pictures fitted on"] = Table(
            ["class", "pictures"], [*map(list, prepared.train.counts().items())]
        )
    if prepared.train.skipped:
        report.tables["Left out"] = Table(["what and why"], [[str(error)] for error in prepared.train.skipped])
    report.facts = dict(facts)
    return report
