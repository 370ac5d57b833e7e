"""``diptych export``: write a recognizer as one file for other programs."""

from pathlib import Path
from typing import Annotated

import typer

from diptych.cli import console
from diptych.cli.models import load_model
from diptych.cli.options import SETTINGS, Config, Json, Model, Quiet


def export(
    model: Model,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="Where to write; ends in .onnx.")],
    int8: Annotated[bool, typer.Option("--int8", help="8-bit integers: a quarter of the size.")] = False,
    check: Annotated[
        str | None,
        typer.Option(
            metavar="DATA", help="Pictures to compare on.  [default: those the model was validated and fitted on]"
        ),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Write a recognizer as ONNX, preparation included, after proof that it answers alike.

    Example: diptych export models/pets -o pets.onnx

    The file takes decoded pictures of any size; its metadata name the classes. It is compared with the model on real
    pictures, and not written where they disagree. Use it with onnxruntime, or: diptych predict pets.onnx new/
    """
    recognizer = load_model(model, "recognizer")
    from diptych.exporting.export import export as write

    portable = write(recognizer, output, int8=int8, check=check)
    if json:
        facts = portable.facts
        console.print_json({"file": str(output), "bytes": output.stat().st_size, **{k: facts[k] for k in _TOLD}})
    else:
        console.print_text(f"The recognizer is in {output}. Try it: diptych predict {output} PICTURES")


_TOLD = ("precision", "size", "classes", "parity")


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(context_settings=SETTINGS)(export)
