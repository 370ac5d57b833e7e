"""``diptych pack``: write a set of pictures as shards."""

from pathlib import Path
from typing import Annotated

import typer

from diptych.cli import console
from diptych.cli.options import SETTINGS, Config, Data, Json, Labels, Quiet


def pack(
    data: Data,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FOLDER", help="The folder of the shards; a new one.")
    ],
    file_format: Annotated[
        str, typer.Option("--format", metavar="tar|parquet", help="WebDataset's tar, or Hugging Face's Parquet.")
    ] = "tar",
    labels: Labels = None,
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Write pictures as shards, for sets that are larger than memory or lie on another machine.

    Example: diptych pack photos/ -o shards/

    The pictures' files are copied as they are, with labels, columns and origins, in a mixed order; fit, predict, embed
    and enroll take the folder, or its URL, as any other data. A run that is killed goes on by the same command. A
    picture that cannot be read is left out and named; the exit code is then 4.
    """
    from diptych.cli.paths import open_images
    from diptych.data.messages import counted
    from diptych.data.packing.pack import pack as pack_images
    from diptych.files import check_output_folder

    check_output_folder(output)
    images = open_images(data, labels=labels)
    packed = pack_images(images, output, kind=file_format)
    total = sum(shard.bytes for shard in packed.shards)
    if json:
        facts = {"pictures": packed.pictures, "shards": len(packed.shards), "bytes": total, "skipped": packed.skipped}
        console.print_json({"folder": str(output), **facts})
    else:
        shards = counted(len(packed.shards), "shard")
        console.print_text(f"{counted(packed.pictures, 'picture')} in {output}: {shards}, {total / 1e6:,.1f} MB")
        console.suggest("fit", "recognizer", output, "-o", "models/NAME")
    if packed.skipped:
        raise typer.Exit(4)


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(context_settings=SETTINGS, short_help="Write pictures as shards, for large sets.")(pack)
