"""``diptych verdict``: whether a synthesizer's pictures, added to real ones, make a better recognizer."""

import json as json_format
from pathlib import Path
from typing import Annotated

import typer

from diptych.cli import console
from diptych.cli.models import SYNTHESIZERS, load_model
from diptych.cli.options import SETTINGS, Config, Json, Labels, Quiet


def verdict(
    pictures: Annotated[str, typer.Argument(metavar="PICTURES", help="Real labelled pictures.")],
    synthesizer: Annotated[Path, typer.Argument(metavar="SYNTHESIZER", help="The folder of a synthesizer.")],
    test: Annotated[
        str, typer.Option("--test", metavar="TEST", help="Other real labelled pictures, used once, at the end.")
    ],
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", metavar="FOLDER", help="For the report and all figures; a killed verdict continues there."
        ),
    ],
    minutes: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            help="Longest training of the synthesizer, where it is trained again.  [default: as long as its first one]",
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(min=5, help="Trainings of each way, at least 5.")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Seed of every random choice.")] = 0,
    labels: Labels = None,
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Say whether a synthesizer's pictures, added to real ones, make a better recognizer, and what helps instead.

    Example: diptych verdict photos/ models/pets-flow --test test/ -o verdicts/pets

    Recognizers are trained on real pictures alone, drawn evenly over the classes, strongly augmented, on pretrained
    features, and with generated pictures added in several doses, filtered or not: all for as many steps, with several
    seeds. The answer is "no" unless the gain on TEST is beyond chance. A learning curve says what more real pictures
    would bring.
    """
    model = load_model(synthesizer, *SYNTHESIZERS)
    from diptych import interplay
    from diptych.data.images import Images
    from diptych.interplay.verdict.state import ANSWER, PAGE

    images, held_out = Images.open(pictures, labels), Images.open(test, labels)
    report = interplay.verdict(images, model, test=held_out, into=output, minutes=minutes, seeds=seeds, seed=seed)
    assert report.verdict is not None
    report.verdict = report.verdict.with_names(labels=labels, data=pictures, model=str(synthesizer))
    report.save(output / PAGE)
    if json:
        figures = json_format.loads((output / ANSWER).read_text(encoding="utf-8"))
        console.print_json({**figures, **report.verdict.answer()})
    else:
        console.print_report(report, output)
    console.log.info("The report is in %s", output / PAGE)
    if sum(console.list_skipped(images, map(str, images.known_errors().values())) for images in (images, held_out)):
        raise typer.Exit(4)


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(context_settings=SETTINGS, short_help="Does a synthesizer help a recognizer?")(verdict)
