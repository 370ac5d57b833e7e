"""``diptych push``: a model sent to the Hugging Face hub."""

from pathlib import Path
from typing import Annotated

import typer

from diptych.cli import console
from diptych.cli.options import SETTINGS, Config, Quiet


def push(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="The folder of a model.")],
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="Where to: hf://USER/NAME.")],
    public: Annotated[bool, typer.Option("--public", help="Everyone may see it.  [default: only you]")] = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Send a model to the Hugging Face hub, from where load("hf://USER/NAME") fetches it.

    Example: diptych push models/pets hf://anna/pets

    All files of the model are sent, so its report with pictures that it was trained on, and data.json with their names.
    The repository is made if it is not there, for you alone unless --public is given. Log in first: hf auth login
    """
    from diptych.sharing.hub import push as push_model

    console.print_text(push_model(model, address, public=public))


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(context_settings=SETTINGS, short_help="Send a model to the Hugging Face hub.")(push)
