"""``diptych match``: find the pictures of a gallery that are nearest to others."""

import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from diptych.cli import console
from diptych.cli.options import SETTINGS, Config, Gallery, Json, Quiet
from diptych.cli.paths import UnreadablePath, image_sets, require_one
from diptych.cli.predict import exit_if_unreadable
from diptych.cli.text_rows import TextRows
from diptych.data.messages import counted
from diptych.errors import UsageError

COLUMNS = ("path", "label", "vote", "distance", "nearest", "note")


def match(
    gallery: Gallery,
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH...", help="Pictures, folders of pictures (walked in sorted order), data sets."),
    ],
    pair: Annotated[bool, typer.Option("--pair", help="Say whether two pictures show the same thing.")] = False,
    nearest: Annotated[
        int, typer.Option("-k", "--nearest", min=1, help="How many nearest pictures vote and are named.")
    ] = 20,
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN=VALUE", help="Compare only with pictures that have this value; can be repeated."),
    ] = None,
    far: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            metavar="RATE",
            help="False-accept rate, 0 to 1, that the threshold keeps.  [default: 0.05; of a pair 0.01]",
        ),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Match pictures with the nearest ones in a gallery: the label they vote for, or unknown.

    Example: diptych match models/gallery probe.jpg

    Under a header each line has path, label, share of the vote, distance of the nearest picture (1 - cosine
    similarity), its path, and "unknown" where the match is not familiar enough: at most the false-accept rate of things
    that are not in the gallery would pass, measured on its own pictures.
    """
    from diptych.cli.models import load_model
    from diptych.files import path_from_here
    from diptych.recognition.gallery.table import parse_filter

    require_one(paths)
    opened = load_model(gallery, "gallery")
    rate = {} if far is None else {"far": far}
    if pair:
        _match_pair(opened, paths, rate, json)
        return
    write = _writer(json)
    total = failed = unknown = 0
    for images in image_sets(paths):
        if isinstance(images, UnreadablePath):
            write([{"path": images.path, "error": images.reason}])
            total, failed = total + 1, failed + 1
            continue
        for matches in opened.match_batches(images, k=nearest, where=parse_filter(where or ()), **rate):
            rows = [one.json(path_from_here) for one in matches]
            write(rows)
            unknown += sum(row.get("unknown", False) for row in rows)
            total, failed = total + len(matches), failed + len(matches.errors)
    if unknown and not json:
        _explain_unknown(unknown, opened, rate)
    exit_if_unreadable(failed, total)


def _explain_unknown(count: int, gallery: Any, rate: dict[str, float]) -> None:
    """Say what the threshold means, which rate it keeps, and what it costs."""
    threshold = gallery.match_threshold(**rate)
    if threshold is not None:
        console.log.info(
            "%s unknown: less familiar than a threshold which %.1f %% of things that are not in it would pass, "
            "and %.0f %% of those in it (each of its pictures tried on the others). A higher --far lets more pass.",
            counted(count, "picture is", "pictures are"), 100 * threshold.far, 100 * threshold.tar,
        )  # fmt: skip


def _match_pair(gallery: Any, paths: list[str], rate: dict[str, float], as_json: bool) -> None:
    if len(paths) != 2:
        raise UsageError(f"--pair compares two pictures; {len(paths)} were named.")
    answer = gallery.match_pair(*paths, **rate)
    if as_json:
        console.print_json({"pair": paths, **vars(answer)})
    else:
        console.print_text(str(answer))


def _writer(as_json: bool) -> Callable[[list[dict[str, Any]]], None]:
    """What prints rows as they come."""
    text = TextRows(sys.stdout, COLUMNS, aligned=sys.stdout.isatty(), right=COLUMNS[2:4])

    def write(rows: list[dict[str, Any]]) -> None:
        if not as_json:
            text.add([_cells(row) for row in rows])
            sys.stdout.flush()
            return
        for row in rows:
            console.print_json(row)

    return write


def _cells(row: dict[str, Any]) -> list[str]:
    if "error" in row:
        return [row["path"], "", "", "", "", row["error"]]
    near = row["nearest"][0]["path"] if row["nearest"] else ""
    numbers = [f"{row[name]:.4f}" if name in row else "" for name in ("confidence", "distance")]
    return [row["path"], row["label"] or "", *numbers, near, "unknown" if row["unknown"] else ""]


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(context_settings=SETTINGS)(match)
