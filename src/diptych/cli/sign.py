"""``diptych sign``: a model folder signed with the person's own key."""

from pathlib import Path
from typing import Annotated

import typer

from diptych.cli import console
from diptych.cli.options import SETTINGS, Config, Quiet


def sign(
    models: Annotated[list[Path], typer.Argument(metavar="MODEL...", help="The folders of models.")],
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Sign models with your own key, so that others can tell that they are yours, and unchanged.

    Example: diptych sign models/pets

    The signature, model.sig in the folder, covers every file of the model; `diptych verify` checks it, and in Python
    load(folder, signed_by="root.pem"). The key is made on first use and stays on this machine; give others your
    certificate, whose path `diptych trust` prints. Signing again replaces the signature; training the model further or
    calibrating it removes it.
    """
    from diptych.marks.keys import ROOT_FILE, keys_folder
    from diptych.marks.trust import signer_of
    from diptych.opening import read_file
    from diptych.signing.verify import sign as sign_model

    for model in models:
        console.print_text(str(sign_model(model)))
    root = keys_folder() / ROOT_FILE
    signer = signer_of(read_file(root))
    console.log.info("Signed by %s. For others: your certificate, %s", signer, root)


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(context_settings=SETTINGS, short_help="Sign models with your own key.")(sign)
