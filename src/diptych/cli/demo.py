"""``diptych demo``: both panels at work on pictures that come with Diptych."""

from pathlib import Path
from typing import Annotated

import typer

from diptych.cli import console
from diptych.cli.options import SETTINGS, Config, Json, Quiet


def demo(
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FOLDER", help="Where all of it goes.")] = Path(
        "demo"
    ),
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Train all four models on built-in handwritten digits and let them check each other; about three minutes.

    Example: diptych demo

    FOLDER/report.html is the page to look at; the models and the sheets of samples lie beside it. The same
    command again resumes.
    """
    from diptych.cli.demo_run import run

    shown = run(output)
    if json:
        console.print_json(shown.json())
    else:
        console.print_text(shown.text())


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(context_settings=SETTINGS, short_help="Train all four models on built-in digits.")(demo)
