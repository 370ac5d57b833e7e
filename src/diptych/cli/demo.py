"""``diptych demo``: recognition and synthesis on built-in pictures."""

from pathlib import Path
from typing import Annotated

import typer

from diptych.cli import console
from diptych.cli.options import SETTINGS, Config, Json, Quiet


def demo(
    output: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="FOLDER", help="Folder for the models, the samples and the report."),
    ] = Path("demo"),
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Train both panels on built-in handwritten digits and let them check each other; about four minutes.

    Example: diptych demo

    FOLDER/report.html shows the results; the models and the grids of samples are beside it. The same command again
    resumes.
    """
    from diptych.cli.demo_run import default_plan, run_demo

    result = run_demo(output, default_plan())
    if json:
        console.print_json(result.json())
    else:
        console.print_text(*result.lines())
        console.suggest("serve", output, "--open")


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(context_settings=SETTINGS, short_help="Train both panels on built-in digits.")(demo)
