"""``diptych tune``: train a fitted flow to sample in one or two steps (consistency tuning)."""

import time
from pathlib import Path
from typing import Annotated

import typer

from diptych.cli.fit import Validate
from diptych.cli.options import SETTINGS, Config, Data, Json, Labels, Model, Quiet, setting_option
from diptych.engine.run_settings import RunSettings


def tune(
    model: Model,
    data: Data,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FOLDER", help="Folder of the tuned model.  [default: <MODEL>-tuned]"),
    ] = None,
    minutes: Annotated[float | None, setting_option(RunSettings, "minutes")] = None,
    epochs: Annotated[float | None, setting_option(RunSettings, "epochs")] = None,
    validate: Validate = None,
    labels: Labels = None,
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Make a flow fast: train it to sample in one or two steps.

    Example: diptych tune models/pets-flow photos/ --minutes 5 -o models/pets-fast

    DATA are the pictures that the flow was fitted on. MODEL stays as it is; diptych sample takes 2 steps with the tuned
    model, or the number in --steps. The same command again resumes.
    """
    started = time.monotonic()
    from diptych.cli.fit_run import print_result
    from diptych.cli.models import default_output, load_model
    from diptych.data.images import Images
    from diptych.engine.run_settings import budget_counted_from
    from diptych.engine.stopping.draft import explained_stops
    from diptych.files import check_output_folder

    folder = output or default_output(model, "tuned")
    check_output_folder(folder)
    with explained_stops(folder):
        flow = load_model(model, "flow")
        images = Images.open(data, labels)
        held_out = None if validate is None else Images.open(validate, labels)
        with budget_counted_from(started):
            flow.tune(images, minutes=minutes, epochs=epochs, validate=held_out, into=folder)
    raise typer.Exit(print_result(folder, "flow", images, data, json, labels))


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(context_settings=SETTINGS)(tune)
