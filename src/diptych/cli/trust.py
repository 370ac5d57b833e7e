"""``diptych trust``: whose signatures are trusted."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from diptych.cli import console
from diptych.cli.options import SETTINGS, Config, Json, Quiet

COLUMNS = ("key", "trust", "fingerprint", "certificate")


def trust(
    certificates: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[ROOT.pem]...", help="Root certificates that their owners gave you; none: only list."),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Trust the signatures of other people, and list those that are trusted.

    Example: diptych trust anna-root.pem

    Ask the owner by another way, such as by telephone, whether the fingerprint is theirs: anyone can use any name. The
    first row is your own key: its certificate is the file to give to others. To trust a key no longer, delete its
    certificate.
    """
    from diptych.cli.text_rows import TextRows
    from diptych.marks.trust import trust as trust_root
    from diptych.marks.trust import trusted_signers

    for certificate in certificates or ():
        console.log.info("Trusted from now on: %s", trust_root(certificate))
    rows = TextRows(sys.stdout, COLUMNS, aligned=sys.stdout.isatty())
    for signer, path in trusted_signers():
        if json:
            console.print_json({**signer.json(), "certificate": str(path)})
        else:
            rows.add([(signer.name, signer.trust, signer.fingerprint, str(path))])


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(context_settings=SETTINGS, short_help="Trust the signatures of others; list whose are.")(trust)
