"""What ``diptych fit`` does once its options are read."""

import importlib
import re
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diptych import artefact
from diptych.cli import console
from diptych.cli.next_step import after_no_gain, with_run_options
from diptych.cli.paths import open_images
from diptych.cli.tensorboard import mirrored
from diptych.files import check_output_folder
from diptych.loading import MODEL_CLASSES
from diptych.report import Score, Verdict
from diptych.report.report import RARE_SCORES, format_number
from diptych.report.text import display_name, verdict_lines
from diptych.sharing import hub

if TYPE_CHECKING:
    from diptych.data.images import Images


def train(
    kind: str,
    options: dict[str, Any],
    started: float,
    data: str,
    output: Path | None,
    validate: str | None,
    more: float | None,
    start: Path | None,
    labels: str | None,
    manifest: Path | None,
    tensorboard: bool,
    json: bool,
) -> int:
    """Fit a model and print its folder and its scores; returns the exit code.

    A time budget is counted from ``started``, a ``time.monotonic()``.
    """
    from diptych.engine.distributed import is_leader
    from diptych.engine.run_settings import budget_counted_from
    from diptych.engine.stopping.draft import explained_stops

    home, name = MODEL_CLASSES[kind]
    model = getattr(importlib.import_module(home), name)(**options)
    folder = output or default_folder(data, kind)
    if output is None:
        console.log.info("The model goes to %s", folder)
    check_output_folder(folder)
    if start is not None:
        start = hub.local_folder(start)
    with explained_stops(folder), mirrored(folder) if tensorboard and is_leader() else nullcontext():
        images = open_images(data, manifest, labels)
        held_out = None if validate is None else open_images(validate, labels=labels)
        with budget_counted_from(started):
            model.fit(images, validate=held_out, into=folder, more=more, start=start)
    run = {"validate": validate, "manifest": manifest, "from": start}
    return print_result(folder, kind, images, data, json, labels, **run)


def print_result(
    folder: Path, kind: str, images: "Images", data: str, as_json: bool, labels: str | None, **run: Any
) -> int:
    """Print the model's folder and scores, and the pictures that were left out; returns the exit code.

    The next step repeats ``labels`` and the other options ``run`` that the run was given.
    """
    from diptych.engine.distributed import is_leader, process_count

    if not is_leader():  # of the processes that torchrun started, only one prints
        return 0
    left_out = console.list_skipped(images, _skipped(folder))
    verdict = _verdict(folder, data, labels, run)
    result = _result_json(folder, kind, left_out, verdict)
    if as_json:
        console.print_json(result)
    else:
        console.print_text(*_result_lines(result, verdict))
        _suggest(folder, kind, verdict)
    # A launcher takes any other code for that of a process that has failed, and starts all of them again.
    return 4 if left_out and process_count() == 1 else 0


def default_folder(data: str, kind: str) -> Path:
    """``models/<name of the data>-<kind>``."""
    last = re.split(r"[/\\]", data.rstrip("/\\"))[-1] or "pictures"
    stem = last.split("::")[0].split(".")[0] or last
    name = re.sub(r"[^\w-]+", "-", stem).strip("-") or "pictures"
    return Path("models") / f"{name}-{kind}"


def _skipped(folder: Path) -> list[str]:
    """The files that the model left out, ``"path: reason"`` each, from its ``data.json``."""
    skipped = artefact.data(folder).get("skipped", ())
    return [f"{e['path']}: {e['reason']}" if isinstance(e, dict) else str(e) for e in skipped]


def _verdict(folder: Path, data: str, labels: str | None, run: Mapping[str, Any]) -> Verdict | None:
    """The verdict that the model was given, with its folder, pictures and options in the next step; ``None``: none."""
    facts = artefact.facts(folder)
    if not facts.get("verdict"):
        return None
    verdict = after_no_gain(Verdict(**facts["verdict"]), facts)
    return with_run_options(verdict.with_names(labels=labels, model=str(folder), data=data), folder, **run)


def _result_json(folder: Path, kind: str, left_out: int, verdict: Verdict | None) -> dict[str, Any]:
    """The result as one JSON object."""
    facts, last = artefact.facts(folder), _last_record(folder)
    return {
        **(verdict.answer() if verdict else {}),
        "folder": str(folder),
        "kind": kind,
        "classes": facts["classes"],
        "size": facts["size"],
        "seen_pictures": last.get("seen_pictures"),
        "seconds": last.get("seconds"),
        "left_out": left_out,
        "scores": facts["scores"],
        "extensions": facts.get("extensions", []),
    }


def _last_record(folder: Path) -> dict[str, Any]:
    """The last record of the run's history."""
    from diptych.engine import history

    path = folder / "history.jsonl"
    records = history.read(path) if path.exists() else []
    return records[-1] if records else {}


def _suggest(folder: Path, kind: str, verdict: Verdict | None) -> None:
    """Propose what the verdict does, or to use the model."""
    if verdict is not None:
        console.suggest_step(verdict.next_step)
    elif kind == "recognizer":
        console.suggest("predict", folder, "PICTURES")
    else:
        console.suggest("sample", folder, "-n", 64)


def _result_lines(result: dict[str, Any], verdict: Verdict | None) -> list[str]:
    """The result as lines of text: the verdict, folder and scores."""
    from diptych.engine.warm_start.extension import sentence

    folder, kind = result["folder"], result["kind"]
    classes = _classes_text(result["classes"])
    scores = [(name, score) for name, score in result["scores"].items() if name not in RARE_SCORES]
    lines = verdict_lines(verdict, next_step=False) if verdict else []
    lines += [f"{folder} holds a {kind} {classes}, {result['size']} px, trained for {_training_text(result)}."]
    lines += [f"  {display_name(name):<18} {_score_text(name, score)}" for name, score in scores]
    lines += [f"Extension {n}: {sentence(record)}" for n, record in enumerate(result["extensions"], 1)]
    return [*lines, f"Report: {folder}/report.html"]


def _classes_text(classes: list[str]) -> str:
    if not classes:
        return "without classes"
    shown = ", ".join(classes[:6])
    return f"of {len(classes)} classes ({shown}{', …' if len(classes) > 6 else ''})"


def _training_text(result: dict[str, Any]) -> str:
    seconds = result["seconds"] or 0.0
    duration = f"{seconds / 60:.1f} minutes" if seconds >= 90 else f"{seconds:.0f} seconds"
    return f"{duration} ({result['seen_pictures'] or 0:,} pictures seen)"


def _score_text(name: str, score: Any) -> str:
    """A score, with its interval if it has one."""
    if isinstance(score, dict):
        return f"{Score.of_json(name, score)}, on {score['n']} held-out pictures"
    return format_number(score) if isinstance(score, int | float) else "–"
