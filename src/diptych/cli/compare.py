"""``diptych compare``: which of several models is better, or whether the difference is within chance."""

from pathlib import Path
from typing import Annotated

import typer

from diptych.cli import console
from diptych.cli.options import SETTINGS, Config, Json, Labels, Quiet


def compare(
    models: Annotated[
        list[Path],
        typer.Argument(metavar="MODEL...", help="The folders of two models or more: recognizers, or synthesizers."),
    ],
    on: Annotated[
        str | None,
        typer.Option(metavar="DATA", help="Labelled pictures to evaluate all recognizers on, with a paired test."),
    ] = None,
    labels: Labels = None,
    json: Json = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the comparison as one HTML page.")
    ] = None,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Compare models: scores side by side, how each was trained, the settings that differ, samples or errors.

    Example: diptych compare models/pets models/pets-2 --on test/ -o comparison.html

    The first line says which is better, or that the difference is within chance. Without --on recognizers are compared
    by the scores on the pictures that each held out, which are the same if they were fitted to the same pictures with
    the same seed.
    """
    from diptych.cli.paths import open_images
    from diptych.files import check_output_file
    from diptych.interplay.comparison import compare as compare_models

    if output is not None:
        check_output_file(output)
    images = None if on is None else open_images(on, labels=labels)
    report = compare_models(models, images)
    if output is not None:
        report.save(output)
        console.log.info("The comparison is in %s", output)
    if json:
        console.print_json(report.json())
    else:
        console.print_report(report, output)
    if images is not None and console.list_skipped(images, map(str, images.known_errors().values())):
        raise typer.Exit(4)


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(context_settings=SETTINGS, short_help="Compare models: which one is better?")(compare)
