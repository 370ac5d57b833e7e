"""``diptych verify``: where pictures and models come from, and whether they were changed since."""

import glob
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from diptych.cli import console
from diptych.cli.options import SETTINGS, Config, Json, Quiet
from diptych.errors import DataError

COLUMNS = ("path", "state", "what it says")


def verify(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH...", help="Pictures, folders of pictures, patterns, or the folders of models."),
    ],
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Tell where pictures and models come from, and whether they were changed since they were signed.

    Example: diptych verify picture.png models/pets

    States: untouched (signed by your own key or one that you trust, not changed since), untrusted (not changed, but
    signed by a key that you have not trusted; see `diptych trust`), changed, unsigned (of a picture: a mark that
    nobody signed), unmarked (a picture without any mark, which does not prove that it is real).

    Exit code 3: a picture or a model was changed, or a model is not signed by a key that you trust. Exit code 4: some
    files could not be read; they are named.
    """
    from diptych.cli.text_rows import TextRows
    from diptych.signing.verify import verify as verify_path

    rows = TextRows(sys.stdout, COLUMNS, aligned=sys.stdout.isatty())
    left_out: list[DataError] = []
    sound: list[bool] = []
    for path in _expanded(paths):
        try:
            verified = verify_path(path)
        except DataError as error:
            console.log.warning("Left out: %s", error)
            left_out.append(error)
            continue
        sound.append(verified.is_sound)
        if json:
            console.print_json(verified.json())
        else:
            rows.add([(verified.path, verified.state, verified.message)])
    if not sound:
        raise left_out[0]
    if left_out or not all(sound):
        raise typer.Exit(4 if all(sound) else 3)


def _expanded(paths: list[str]) -> Iterator[str]:
    """The pictures and the models' folders that arguments name, in their order."""
    from diptych import artefact

    for path in paths:
        place = Path(path)
        if not place.exists() and glob.has_magic(path):
            matches = sorted(glob.glob(path, recursive=True))  # noqa: PTH207 - it may begin at the root
            if not matches:
                raise DataError(f"Nothing matches {path}.")
            yield from matches
        elif place.is_dir() and not artefact.exists(place):
            yield from _pictures_in(place)
        else:
            yield path


def _pictures_in(folder: Path) -> list[str]:
    """The pictures and films in a folder, also the grids and films that other commands pass over."""
    from diptych.data.decoding.kinds import PICTURE_SUFFIXES, has_picture_signature
    from diptych.data.sources.files import LocalFiles

    files = LocalFiles(folder)
    walk = files.walk()
    for error in walk.skipped:
        console.log.warning("Left out: %s", error)
    paths = [
        str(folder / name)
        for name in walk.files
        if name.lower().endswith((*PICTURE_SUFFIXES, ".mp4")) or has_picture_signature(files.read_range(name, 0, 16))
    ]
    if not paths:
        raise DataError(f"{folder} holds neither pictures nor a model.")
    return paths


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(context_settings=SETTINGS, short_help="Generated, signed, changed? Of pictures and models.")(verify)
