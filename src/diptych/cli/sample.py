"""``diptych sample``: generate pictures with a synthesizer."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diptych import files
from diptych.cli import console
from diptych.cli.cluster import on_cluster
from diptych.cli.models import SYNTHESIZERS, default_output, load_model
from diptych.cli.options import SETTINGS, Config, Json, Model, On, Quiet, VisibleLabel
from diptych.data.messages import counted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from diptych.data.images import Images

SINGLE_FILES = (".npz", ".parquet")  # besides folders


def sample(
    model: Model,
    number: Annotated[int, typer.Option("-n", "--number", min=1, help="Number of pictures.")] = 64,
    label: Annotated[
        str | None, typer.Option(help="The class to generate.  [default: all classes, as often as in training]")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Picture i depends only on seed + i.")] = 0,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="PATH",
            help="A folder, or an .npz or .parquet file.  [default: <MODEL>-samples]",
        ),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Sampling steps of a flow; 1 or 2 if it is tuned.  [default: the model's]")
    ] = None,
    guidance: Annotated[
        float | None,
        typer.Option(min=0, help="How closely a flow with classes follows them.  [default: the model's]"),
    ] = None,
    visible_label: VisibleLabel = False,
    json: Json = False,
    on: On = None,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Generate pictures with a synthesizer.

    Example: diptych sample models/pets-flow -n 64 --label cat --seed 7 -o out/

    Writes 000000.png, 000001.png, … (in class folders unless --label names one) and grid.png with the first of them.
    Pictures are written as they are generated; the same command again continues, and a larger -n adds to them. Each is
    marked as generated: signed credentials (C2PA), XMP and text in its file.
    """
    target = output or default_output(model, "samples")
    check_output = files.check_output_file if target.suffix.lower() in SINGLE_FILES else files.check_output_folder
    check_output(target)
    synthesizer = load_model(model, *SYNTHESIZERS)
    synthesizer = synthesizer.sampled_with(steps, guidance)
    from diptych.synthesis.sampling.writer import grid_path, write_samples

    with on_cluster(on):
        samples = write_samples(synthesizer, number, label, seed, target, visible_label=visible_label)
    grid = grid_path(target)
    if json:
        console.print_json(
            {"folder": str(target), "grid": str(grid), "pictures": len(samples), "seed": seed, "label": label}
        )
    else:
        console.print_text(f"{counted(len(samples), 'picture')} in {target}; grid: {grid}")
        console.suggest("score", target, "--against", "REAL-PICTURES")  # these, rather than sample others


def pixel_array(images: "Images") -> "NDArray[np.uint8]":
    """(N, H, W, 3) uint8 of pictures that all have one size."""
    size = int(images.dimensions()[0, 0])
    return images.pixels(size).permute(0, 2, 3, 1).numpy()


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(context_settings=SETTINGS)(sample)
