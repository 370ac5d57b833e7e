"""``diptych fit``: train a recognizer or a synthesizer; its options follow from the models' settings."""

import inspect
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from diptych.cli.options import SETTINGS, Config, Data, Json, Labels, Manifest, Quiet, setting_annotation
from diptych.engine.run_settings import RunSettings
from diptych.recognition.settings import RecognizerSettings
from diptych.settings import Settings, declaration
from diptych.synthesis.settings import FlowSettings, GANSettings, VAESettings

Output = Annotated[
    Path | None,
    typer.Option("-o", "--output", metavar="FOLDER", help="Folder of the model.  [default: models/<data>-<kind>]"),
]
Validate = Annotated[
    str | None,
    typer.Option(metavar="DATA", help="Pictures to validate on.  [default: a part of DATA is held out]"),
]
More = Annotated[
    float | None,
    typer.Option(min=0.01, metavar="MINUTES", help="Train the finished model in FOLDER further; keep what is better."),
]
Start = Annotated[
    Path | None,
    typer.Option("--from", metavar="MODEL", help="Start from the weights of this model, of the same kind."),
]
TensorBoard = Annotated[
    bool, typer.Option("--tensorboard", help="Also write the curves for TensorBoard, into FOLDER/tensorboard.")
]

group = typer.Typer(rich_markup_mode=None, add_completion=False)


@group.callback(invoke_without_command=True)
def fit(context: typer.Context) -> None:
    """Train a recognizer or a synthesizer (gan, vae, flow) on your pictures.

    Example: diptych fit recognizer photos/ -o models/pets --minutes 10

    The folder given by -o becomes the model: weights, settings and an HTML report. The same command again resumes a
    run that was stopped, and returns at once if it has finished; with --more it trains the finished model further.
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def _command(kind: str, settings: type[Settings]) -> Callable[[Callable[[], None]], Callable[..., None]]:
    """Register the verb that trains a model of this kind, with the docstring of the function as its help."""
    first = {"data": (Data, inspect.Parameter.empty), "output": (Output, None)}
    own = {
        name: (setting_annotation(settings, name), default) for name, (_, default, _) in declaration(settings).items()
    }
    run = {"validate": (Validate, None), "more": (More, None), "start": (Start, None)}
    pictures = {"labels": (Labels, None), "manifest": (Manifest, None)}
    last = {
        "tensorboard": (TensorBoard, False),
        "json": (Json, False),
        "quiet": (Quiet, False),
        "config": (Config, None),
    }
    parameters = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)
        for name, (annotation, default) in {**first, **_ordered(own), **run, **pictures, **last}.items()
    ]

    def register(described: Callable[[], None]) -> Callable[..., None]:
        def command(**values: Any) -> None:
            started = time.monotonic()
            from diptych.cli.fit_run import train

            # An option that is left out keeps the model's default; 10 epochs are stored as 10, not as 10.0.
            chosen = {name: _whole(name, values[name]) for name in own if values[name] is not None}
            named = (*first, *run, *pictures, "tensorboard", "json")
            raise typer.Exit(train(kind, chosen, started, **{name: values[name] for name in named}))

        command.__name__, command.__doc__ = kind, described.__doc__
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return group.command(context_settings=SETTINGS)(command)

    return register


def _ordered(options: dict[str, Any]) -> dict[str, Any]:
    """A model's own settings first, those of the run after them, the seed last."""
    shared = ("size", *declaration(RunSettings))
    return {name: options[name] for name in (*(name for name in options if name not in shared), *shared)}


def _whole(name: str, value: Any) -> Any:
    return int(value) if name == "epochs" and value.is_integer() else value


@_command("recognizer", RecognizerSettings)
def recognizer() -> None:
    """Train a recognizer, which distinguishes your classes.

    Example: diptych fit recognizer photos/ -o models/pets --minutes 10

    Scores on held-out pictures are printed; FOLDER/report.html shows them with the worst errors. The same command
    again resumes.
    """


@_command("gan", GANSettings)
def gan() -> None:
    """Train a GAN: a generator is trained against a critic.

    Example: diptych fit gan photos/ -o models/pets-gan --size 64 --minutes 10

    FOLDER/report.html shows grids of samples over the course of training. The same command again resumes.
    """


@_command("vae", VAESettings)
def vae() -> None:
    """Train a VAE: an encoder from pictures to a few numbers, and a decoder back.

    The most reliable to train; its samples are the least sharp.

    Example: diptych fit vae photos/ -o models/pets-vae --size 64 --minutes 10

    FOLDER/report.html shows grids of samples over the course of training. The same command again resumes.
    """


@_command("flow", FlowSettings)
def flow() -> None:
    """Train a flow: a velocity field carries noise to pictures (flow matching).

    The best samples; the slowest to sample from.

    Example: diptych fit flow photos/ -o models/pets-flow --size 64 --minutes 10

    FOLDER/report.html shows grids of samples over the course of training. The same command again resumes.
    """


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.add_typer(group, name="fit", short_help="Train a recognizer, a GAN, a VAE or a flow.")
