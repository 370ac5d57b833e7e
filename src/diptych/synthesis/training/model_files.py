"""The files of an artefact beside the weights: data facts, model card, report page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from diptych import artefact
from diptych.artefact import Page
from diptych.data.training_digests import pack_digests
from diptych.engine.privacy import budget
from diptych.engine.warm_start.extension import CAPTION, extensions_table, with_extensions
from diptych.escaping import for_markdown
from diptych.report import Report, Score, Table, Verdict, figures
from diptych.report.html import with_table
from diptych.report.text import display_name, format_fact
from diptych.synthesis.datasets import PreparedData
from diptych.synthesis.training.run_result import RunResult
from diptych.synthesis.training.sample_grids import MAX_CLASS_ROWS, real_grid

NAMES = {"gan": "GAN", "vae": "VAE", "flow": "flow"}
LIMITS = (
    "Every picture of this model is generated, not photographed: it shows nothing that happened, and must not be "
    "passed off as a photograph.",
    "It has learned from the pictures above only. What they lack it cannot generate, and what they have too much "
    "of it generates too much of.",
    "It may have memorised some pictures. Before sharing samples of private pictures, compare them with those it "
    "was fitted on.",
)
NOT_EVALUATED = (
    "The samples were not evaluated. Compare them with real pictures that it was not trained on: diptych score MODEL "
    "--against PICTURES."
)
TRAIN_LONGER = "For better ones, train longer: --more MINUTES."
COUNTS = "Pictures of each class that it was trained on"


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

    def with_extensions(self, records: Sequence[Mapping[str, Any]]) -> "ModelFiles":
        """The same files, with what is known of the model's extensions on the card and on a page that was read."""
        page = self.page
        if isinstance(page, SavedPage):
            page = SavedPage(with_table(page.text, CAPTION, extensions_table(records)))
        return replace(self, card=with_extensions(self.card, records), page=page)


@dataclass(frozen=True)
class RunSummary:
    """What a report and a model card say of a run.

    Attributes
    ----------
    prepared
        What it trained on.
    facts
        Configuration and circumstances of the run.
    result
        The weights that it ended with, and their scores.
    history
        The records of ``history.jsonl``.
    grid
        Samples with fixed seeds, a PNG.
    frames
        The same as the run went on, by caption.
    verdict
        On the samples; ``None``: they were not evaluated.
    privacy
        The block "privacy" of ``model.json``; ``None``: nothing is promised.
    """

    prepared: PreparedData
    facts: Mapping[str, Any]
    result: RunResult
    history: Sequence[Mapping[str, Any]]
    grid: bytes
    frames: Mapping[str, bytes]
    verdict: Verdict | None
    privacy: Mapping[str, Any] | None = None


def read_model_files(folder: Path) -> ModelFiles:
    """The files of a saved model, as far as there are any."""

    def text(name: str) -> str:
        there = artefact.path_of(folder, name).exists()
        return artefact.read_bytes(folder, name).decode("utf-8", "replace") if there else ""

    page = text("report.html")
    return ModelFiles(artefact.data(folder), text("README.md"), SavedPage(page) if page else None)


def make_model_files(kind: str, summary: RunSummary, report: Report) -> ModelFiles:
    """The files of a model of this kind that has just been fitted."""
    data = _data_facts(summary.prepared)
    return ModelFiles(data, _model_card(kind, data, summary), report)


def _not_evaluated(summary: RunSummary) -> str:
    """That nothing is known of the samples; a private model cannot be trained further."""
    return NOT_EVALUATED if summary.privacy is not None else f"{NOT_EVALUATED} {TRAIN_LONGER}"


def make_report(kind: str, summary: RunSummary) -> Report:
    """The report on the run of a model of this kind."""
    prepared, result = summary.prepared, summary.result
    training, held_out = len(prepared.training), prepared.held_out
    count = training if held_out is None else len(held_out)
    report = Report(f"A {NAMES[kind]} trained on {training:,} pictures")
    report.verdict = summary.verdict
    report.scores = {name: _score(name, value, count) for name, value in result.scores.items()}
    report.rare = set(report.scores)
    report.findings = list(result.notes if summary.verdict else [*result.notes, _not_evaluated(summary)])
    _add_figures(report, summary)
    if prepared.classes and not prepared.private:
        rows = [*map(list, prepared.training.counts().items())]
        report.tables[COUNTS] = Table(["class", "pictures"], rows)
        report.rare.add(COUNTS)
    if prepared.training.skipped:
        report.tables["Left out"] = Table(["picture and reason"], [[str(error)] for error in prepared.training.skipped])
    report.facts = dict(summary.facts)
    report.parts = [Report("Limits", findings=list(LIMITS))]
    if summary.privacy is not None:
        report.parts.insert(0, Report(budget.HEADING, findings=budget.sentences(summary.privacy)))
    return report


def _add_figures(report: Report, summary: RunSummary) -> None:
    classes, history = summary.prepared.classes[:MAX_CLASS_ROWS], summary.history
    rows = f"; a row each: {', '.join(classes)}" if classes else ""
    report.figures[f"Generated, not selected{rows}"] = summary.grid
    if not summary.prepared.private:
        report.figures[f"Real pictures that it was trained on{rows}"] = real_grid(summary.prepared)
    if len(summary.frames) > 1:
        report.replays[f"The same samples as training went on{rows}"] = dict(summary.frames)
    curves = {
        **figures.monitor_curves(history, summary.result.seen_pictures),
        **figures.curves(_without_evaluations(history)),
    }
    report.figures |= curves
    report.rare |= set(curves)


def _without_evaluations(history: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The records without the monitor's scores, which have a figure of their own."""
    return [
        {**record, "scores": {k: v for k, v in record["scores"].items() if not k.startswith(("kernel_", "copy_"))}}
        for record in history
    ]


def _data_facts(prepared: PreparedData) -> dict[str, Any]:
    training = prepared.training
    common = {
        "pictures": len(training),
        "held_out": len(prepared.held_out) if prepared.held_out is not None else 0,
        "size": prepared.size,
        "skipped": [str(error) for error in training.skipped],
    }
    if prepared.private:
        return {**common, "private": True, "classes": list(prepared.classes)}
    return {
        **common,
        "classes": training.counts() if prepared.classes else {},
        "synthetic": int((training.origins != "real").sum()),
        "fingerprint": training.fingerprint(),
        "digests": pack_digests(training, prepared.trained),
    }


def _model_card(kind: str, data: Mapping[str, Any], summary: RunSummary) -> str:
    size, classes, result = data["size"], data["classes"], summary.result
    named = classes if summary.privacy else [f"{n} ({c})" for n, c in classes.items()] if classes else []
    conditional = f"Conditional on class: {', '.join(map(for_markdown, named))}" if classes else ""
    synthetic = f", {data['synthetic']} of them generated or in part generated" if data.get("synthetic") else ""
    privacy = f"## {budget.HEADING}\n\n{budget.describe(summary.privacy)}\n\n" if summary.privacy else ""
    scores = "\n".join(f"| {display_name(name)} | {_score(name, value, 0)} |" for name, value in result.scores.items())
    facts = "\n".join(
        f"- {display_name(name)}: {for_markdown(format_fact(value))}" for name, value in summary.facts.items()
    )
    return f"""# A {NAMES[kind]} that generates pictures of {size} × {size} pixels
{_verdict(summary.verdict)}
Fitted with Diptych on {data["pictures"]} pictures{synthetic}; {data["held_out"]} more were held out for scores. \
{conditional}

## Use

```python
import diptych

images = diptych.load("this folder").sample(16, seed=0)   # picture i depends on seed + i and its label only
```

{privacy}## Limits and provenance

{chr(10).join("- " + for_markdown(limit) for limit in (*result.notes, *LIMITS))}

## Scores at the end of the run

| score | value |
|---|---|
{scores}

## How it was fitted

{facts}
"""


def _verdict(verdict: Verdict | None) -> str:
    """The verdict, in bold, with its reason; empty if there is none."""
    return f"\n**{for_markdown(verdict.sentence)}** {for_markdown(verdict.reason)}\n" if verdict else ""


def _score(name: str, value: float | Mapping[str, Any], n: int) -> Score:
    """A score that may have an interval and a count of its own."""
    record = value if isinstance(value, Mapping) else {"value": value, "low": None, "high": None, "n": n}
    return Score.of_json(name, record)
