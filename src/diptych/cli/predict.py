"""``diptych predict``: say what is on pictures."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from diptych.cli import console
from diptych.cli.models import loaded
from diptych.cli.options import SETTINGS, Config, Json, Model, Quiet
from diptych.cli.paths import Bad, sets

if TYPE_CHECKING:
    from diptych.data.images import Images
    from diptych.recognition.recognizer import Recognizer


def predict(
    model: Model,
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH...", help="Pictures, folders of pictures (walked in sorted order), data sets."),
    ],
    json: Json = False,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write the answers as CSV.")] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Write to a file: .csv, .jsonl or .tsv by its suffix."),
    ] = None,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Say what is on pictures, with how sure the recognizer is.

    Example: diptych predict models/pets new/*.jpg --json

    Answers are printed in the order given: a table on a terminal, else tab-separated (path, label, confidence)
    or JSON lines. A file that cannot be read gets a row with the reason; the exit code is then 4, or 3 if none
    could be read.
    """
    from diptych.cli.rows import Rows

    rows = Rows(as_json=json, file=output, csv_file=csv)
    recognizer = loaded(model, "recognizer")
    good = bad = 0
    for some in sets(paths):
        answers = [{"path": some.path, "error": some.reason}] if isinstance(some, Bad) else told(recognizer, some)
        rows.add(answers)
        failed = sum("error" in answer for answer in answers)
        good, bad = good + len(answers) - failed, bad + failed
    rows.close()
    if bad:
        console.log.warning("%d of %d pictures could not be read.", bad, good + bad)
        raise typer.Exit(4 if good else 3)


def told(recognizer: "Recognizer", images: "Images") -> list[dict[str, Any]]:
    """A row for each picture, in order: an answer, or why there is none."""
    answers = recognizer.predict(images)
    rows: list[dict[str, Any]] = []
    for i, path in enumerate(images.paths.tolist()):
        if i in answers.errors:
            rows.append({"path": path, "error": answers.errors[i].reason})
            continue
        label: str | list[str] = answers.names[i]
        if answers.labels.ndim == 2:
            label = [name for name, has in zip(answers.classes, answers.labels[i], strict=True) if has]
        chances = [round(chance, 6) for chance in answers.probabilities[i].tolist()]
        rows.append(
            {
                "path": path,
                "label": label,
                "confidence": round(float(answers.confidence[i]), 6),
                "probabilities": dict(zip(answers.classes, chances, strict=True)),
                "unknown": bool(answers.unknown[i]),
            }
        )
    return rows


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(context_settings=SETTINGS)(predict)
