"""``diptych gallery``: what is in a gallery, and its upkeep."""

from pathlib import Path
from typing import Annotated, Any

import typer

from diptych.cli import console
from diptych.cli.options import SETTINGS, Gallery, Json, Quiet
from diptych.data.messages import counted
from diptych.errors import UsageError

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="List and change what is in a gallery.")

Ids = Annotated[list[str], typer.Argument(metavar="ID...", help="Pictures, by their ids: see gallery list --label.")]


@app.command("list", context_settings=SETTINGS)
def list_(
    gallery: Gallery,
    label: Annotated[
        str | None, typer.Option(metavar="LABEL", help="List the pictures of this label, with their ids.")
    ] = None,
    json: Json = False,
) -> None:
    """List the labels of a gallery, or the pictures of one."""
    from diptych.files import path_from_here

    opened = _load(gallery)
    if label is not None:
        for picture in opened.pictures(label):
            row = {**picture, "path": path_from_here(picture["path"])}
            console.print_json(row) if json else console.print_row(row["id"], row["label"], row["path"])
        return
    labels = opened.labels
    if json:
        console.print_json({"pictures": len(opened), "labels": labels, "embedder": opened.embedder.facts()})
        return
    console.print_text(*(f"{count:>8,}  {name}" for name, count in labels.items()))
    console.log.info("%s of %s.", counted(len(opened), "picture"), counted(len(labels), "label"))


@app.command(context_settings=SETTINGS)
def rename(
    gallery: Gallery,
    label: Annotated[str, typer.Argument(metavar="LABEL", help="The label.")],
    new: Annotated[str, typer.Argument(metavar="NAME", help="Its new name.")],
    json: Json = False,
) -> None:
    """Give a label another name."""
    _report(_load(gallery).rename(label, new), "renamed", json)


@app.command(context_settings=SETTINGS)
def merge(
    gallery: Gallery,
    labels: Annotated[list[str], typer.Argument(metavar="LABEL...", help="Labels; the last takes over the others.")],
    json: Json = False,
) -> None:
    """Join labels into one."""
    if len(labels) < 2:
        raise UsageError("Name the labels to be joined, and last the one that takes them over.")
    _report(_load(gallery).merge(labels[:-1], labels[-1]), "relabelled", json)


@app.command(context_settings=SETTINGS)
def reassign(
    gallery: Gallery,
    label: Annotated[str, typer.Argument(metavar="LABEL", help="The label that they get.")],
    pictures: Ids,
    json: Json = False,
) -> None:
    """Give pictures another label."""
    _report(_load(gallery).reassign(pictures, label), "relabelled", json)


@app.command(context_settings=SETTINGS)
def remove(
    gallery: Gallery,
    pictures: Annotated[list[str] | None, typer.Argument(metavar="[ID...]", help="Pictures, by their ids.")] = None,
    label: Annotated[
        list[str] | None, typer.Option(metavar="LABEL", help="All pictures of this label; can be repeated.")
    ] = None,
    json: Json = False,
) -> None:
    """Remove pictures, from the disk too."""
    if not pictures and not label:
        raise UsageError("Name what is to be removed: --label LABEL, or the ids of pictures.")
    _report(_load(gallery).remove(label or (), pictures or ()), "removed", json)


@app.command(context_settings=SETTINGS)
def export(
    gallery: Gallery,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="A .parquet file (all of it), or .csv (no vectors).")
    ],
    json: Json = False,
) -> None:
    """Write the pictures of a gallery to a file: ids, labels, paths, metadata, thumbnails and vectors."""
    count = _load(gallery).export(output)
    if json:
        console.print_json({"file": str(output), "pictures": count})
    else:
        console.print_text(f"{counted(count, 'picture')} in {output}")


@app.command(context_settings=SETTINGS)
def rebuild(
    gallery: Gallery,
    recognizer: Annotated[
        str, typer.Option(metavar="MODEL", help="The folder of a recognizer, or a backbone.")
    ] = "lite0",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Embed all pictures again, with another network, from their files; an adapter is dropped."""
    _report(len(_load(gallery).rebuild(recognizer)), "embedded", json)


def _load(folder: Path) -> Any:
    from diptych.cli.models import load_model

    return load_model(folder, "gallery")


def _report(count: int, done: str, as_json: bool) -> None:
    if as_json:
        console.print_json({done: count})
    else:
        console.print_text(f"{counted(count, 'picture')} {done}")


def add_to(parent: typer.Typer) -> None:
    """Add the verbs, as a group."""
    parent.add_typer(app, name="gallery")
