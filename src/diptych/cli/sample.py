"""``diptych sample``: make pictures."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diptych.cli import console
from diptych.cli.models import SYNTHESIZERS, loaded
from diptych.cli.options import SETTINGS, Config, Json, Model, Quiet

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from diptych.data.images import Images

IN_GRID = 400  # more cannot be looked at on one sheet


def sample(
    model: Model,
    number: Annotated[int, typer.Option("-n", "--number", min=1, help="How many pictures.")] = 64,
    label: Annotated[
        str | None, typer.Option(help="The class to show.  [default: the classes in turn, where there are any]")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Picture i depends on seed + i alone.")] = 0,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FOLDER", help="Where they go.  [default: <MODEL>-samples]"),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Make pictures with a synthesizer.

    Example: diptych sample models/pets-flow -n 64 --label cat --seed 7 -o out/

    Writes 000000.png, 000001.png, … (in class folders when labels vary) and grid.png, all of them on one sheet.
    """
    synthesizer = loaded(model, *SYNTHESIZERS)
    folder = output or model.with_name(f"{model.resolve().name}-samples")
    images = synthesizer.sample(number, label=label, seed=seed)
    written = _write(images, folder)
    _tell_of_others(folder, written)
    grid = folder / "grid.png"
    if json:
        console.emit({"folder": str(folder), "grid": str(grid), "pictures": len(written), "seed": seed, "label": label})
    else:
        console.say(f"{len(written)} pictures are in {folder}; all on one sheet: {grid}")


def _write(images: "Images", folder: Path) -> set[Path]:
    """Write each picture and the sheet; returns the pictures' paths."""
    from diptych.files import write_bytes
    from diptych.report import figures

    pixels = pixels_of(images)
    labels = images.labels.tolist()
    varied = len(set(labels)) > 1
    paths = []
    for i, (picture, label) in enumerate(zip(pixels, labels, strict=True)):
        place = folder / _folder_name(images.classes[label]) if varied else folder
        paths.append(place / f"{i:06d}.png")
        write_bytes(paths[-1], figures.png(picture))
    write_bytes(folder / "grid.png", figures.grid(pixels[:IN_GRID]))
    return set(paths)


def pixels_of(images: "Images") -> "NDArray[np.uint8]":
    """(N, H, W, 3) uint8 of pictures of one size."""
    size = int(images.dimensions()[0, 0])
    return images.pixels(size).permute(0, 2, 3, 1).numpy()


def _folder_name(name: str) -> str:
    """A class's name as that of a folder."""
    return re.sub(r'[\x00-\x1f<>:"/\\|?*]', "_", name).strip(" .") or "_"


def _tell_of_others(folder: Path, written: set[Path]) -> None:
    """Pictures of an earlier run are left as they are, and told of: nobody should train on a mixture unawares."""
    others = set(folder.glob("**/[0-9]*.png")) - written
    if others:
        console.log.warning("%s already held %d other pictures, which stay there.", folder, len(others))


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(context_settings=SETTINGS)(sample)
