"""``diptych export``: write a recognizer as one ONNX file for other programs."""

from pathlib import Path
from typing import Annotated

import typer

from diptych.cli import console
from diptych.cli.models import load_model
from diptych.cli.options import SETTINGS, Config, Json, Model, Quiet
from diptych.files import check_output_file


def export(
    model: Model,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="File to write; ends in .onnx.")],
    int8: Annotated[bool, typer.Option("--int8", help="Quantise to 8-bit integers: a quarter of the size.")] = False,
    check: Annotated[
        str | None,
        typer.Option(
            metavar="DATA", help="Pictures to compare on.  [default: the model's validation and training pictures]"
        ),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Write a recognizer as ONNX, preprocessing included, after checking that its predictions are the same.

    Example: diptych export models/pets -o pets.onnx

    The file takes decoded pictures of any size; its metadata name the classes. It is compared with the model on real
    pictures and is not written if they disagree. Use it with onnxruntime, or: diptych predict pets.onnx new/
    """
    check_output_file(output)
    recognizer = load_model(model, "recognizer")
    from diptych.exporting.export import export as export_onnx

    portable = export_onnx(recognizer, output, int8=int8, check=check)
    if json:
        facts = {name: portable.facts[name] for name in _PRINTED_FACTS}
        console.print_json({"file": str(output), "bytes": output.stat().st_size, **facts})
    else:
        console.print_text(f"The recognizer is in {output}.")
        console.suggest("predict", output, "PICTURES")


_PRINTED_FACTS = ("precision", "size", "classes", "parity")


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(context_settings=SETTINGS)(export)
