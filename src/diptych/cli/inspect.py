"""``diptych inspect``: look at pictures before training on them."""

from pathlib import Path
from typing import Annotated

import typer

from diptych.cli import console
from diptych.cli.options import SETTINGS, Config, Data, Json, Quiet


def inspect(
    data: Data,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the report as one HTML page.")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Look for what would spoil training: unreadable files, duplicates, rare classes, odd sizes.

    Example: diptych inspect photos/ -o photos.html

    The findings are printed; nothing is changed.
    """
    from diptych.data.images import Images

    found = Images.open(data).inspect()
    if json:
        console.emit(found.json())
    else:
        console.say(str(found))
    if output is not None:
        found.save(output)
        console.log.info("The report is in %s", output)


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(context_settings=SETTINGS, short_help="Look for what would spoil training.")(inspect)
