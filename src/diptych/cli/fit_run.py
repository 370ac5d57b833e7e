"""What ``diptych fit`` does once its options are read."""

import importlib
import json as json_module
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diptych import artefact
from diptych.cli import console
from diptych.cli.paths import open_images
from diptych.loading import MODEL_CLASSES
from diptych.report import Score
from diptych.report.report import number
from diptych.report.text import words

if TYPE_CHECKING:
    from diptych.data.images import Images


def train(
    kind: str,
    options: dict[str, Any],
    data: str,
    output: Path | None,
    validate: str | None,
    manifest: Path | None,
    json: bool,
) -> int:
    """Fit, print where the model is and how good; returns the exit code."""
    folder = output or default_folder(data, kind)
    if output is None:
        console.log.info("The model goes to %s", folder)
    home, name = MODEL_CLASSES[kind]
    model = getattr(importlib.import_module(home), name)(**options)
    images = open_images(data, manifest)
    held_out = None if validate is None else open_images(validate)
    model.fit(images, validate=held_out, into=folder)
    return print_result(folder, kind, images, data, json)


def print_result(folder: Path, kind: str, images: "Images", data: str, json: bool) -> int:
    """Print where the model is and how good, and what of the pictures was left out; returns the exit code."""
    from diptych.engine.distributed import is_leader

    if not is_leader():  # of the processes that torchrun started, one speaks
        return 0
    left_out = console.list_skipped(images, _skipped(folder))
    told = _told(folder, kind, left_out)
    if json:
        console.print_json(told)
    else:
        console.print_text(_summary(told, data))
    return 4 if left_out else 0


def default_folder(data: str, kind: str) -> Path:
    """``models/<name of the data>-<kind>``."""
    last = re.split(r"[/\\]", data.rstrip("/\\"))[-1] or "pictures"
    stem = last.split("::")[0].split(".")[0] or last
    name = re.sub(r"[^\w-]+", "-", stem).strip("-") or "pictures"
    return Path("models") / f"{name}-{kind}"


def _skipped(folder: Path) -> list[str]:
    """What the model left out, "path: reason" each, as its ``data.json`` has it: also of a run finished before."""
    path = folder / "data.json"
    told = json_module.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return [f"{e['path']}: {e['reason']}" if isinstance(e, dict) else str(e) for e in told.get("skipped", ())]


def _told(folder: Path, kind: str, left_out: int) -> dict[str, Any]:
    """The result as one JSON object."""
    facts, last = artefact.facts(folder), _last(folder)
    return {
        "folder": str(folder),
        "kind": kind,
        "classes": facts["classes"],
        "size": facts["size"],
        "seen_pictures": last.get("seen_pictures"),
        "seconds": last.get("seconds"),
        "left_out": left_out,
        "scores": facts["scores"],
    }


def _last(folder: Path) -> dict[str, Any]:
    """The last record of the run's history."""
    from diptych.engine import history

    path = folder / "history.jsonl"
    records = history.read(path) if path.exists() else []
    return records[-1] if records else {}


def _summary(told: dict[str, Any], data: str) -> str:
    """The result for a person: where it is, how good, what to try next."""
    folder, kind = told["folder"], told["kind"]
    lines = [f"{folder} holds a {kind} {_subject(told['classes'])}, {told['size']} px, trained in {_time(told)}."]
    lines += [f"  {words(name):<18} {_score(score)}" for name, score in told["scores"].items()]
    lines.append(f"Look at {folder}/report.html")
    tries = {
        "recognizer": [f"diptych predict {folder} PICTURES", f"diptych evaluate {folder} TEST-PICTURES"],
    }.get(kind, [f"diptych sample {folder} -n 64 -o {folder}-samples", f"diptych fit recognizer {data}"])
    return "\n".join([*lines, "Try next:", *(f"  {line}" for line in tries)])


def _subject(classes: list[str]) -> str:
    if not classes:
        return "without classes"
    shown = ", ".join(classes[:6])
    return f"of {len(classes)} classes ({shown}{', …' if len(classes) > 6 else ''})"


def _time(told: dict[str, Any]) -> str:
    seconds = told["seconds"] or 0.0
    spent = f"{seconds / 60:.1f} minutes" if seconds >= 90 else f"{seconds:.0f} seconds"
    return f"{spent} on {told['seen_pictures'] or 0:,} pictures shown"


def _score(score: Any) -> str:
    """A score with its interval, where it has one."""
    if isinstance(score, dict):
        return f"{Score(**score)}, on {score['n']} held-out pictures"
    return number(score) if isinstance(score, int | float) else "–"
