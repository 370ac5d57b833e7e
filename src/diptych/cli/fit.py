"""``diptych fit``: train a recognizer or a synthesizer."""

from pathlib import Path
from typing import Annotated, Any

import typer

from diptych.cli.options import SETTINGS, Config, Data, Json, Manifest, Quiet

Output = Annotated[
    Path | None,
    typer.Option("-o", "--output", metavar="FOLDER", help="Where the model goes.  [default: models/<data>-<kind>]"),
]
Size = Annotated[int | None, typer.Option(min=4, help="Side of the pictures in px.  [default: from the data]")]
Minutes = Annotated[float | None, typer.Option(min=0.01, help="Time budget; training is laid out to end in it.")]
Epochs = Annotated[
    float | None, typer.Option(min=0.01, help="Times that each picture is shown (instead of --minutes).")
]
Batch = Annotated[int | None, typer.Option(min=1, help="Pictures a step.  [default: the network's]")]
Rate = Annotated[float | None, typer.Option("--lr", min=0.0, help="Peak learning rate.  [default: the network's]")]
Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same model on the same machine.")]
Validate = Annotated[
    str | None,
    typer.Option(metavar="DATA", help="Pictures to validate on.  [default: some of DATA is held out]"),
]
Latent = Annotated[int | None, typer.Option(min=1, help="Numbers that a picture is made from.  [default: chosen]")]

group = typer.Typer(rich_markup_mode=None, add_completion=False)


@group.callback(invoke_without_command=True)
def fit(context: typer.Context) -> None:
    """Train a recognizer or a synthesizer (gan, vae, flow) on your pictures.

    Example: diptych fit recognizer photos/ -o models/pets --minutes 10

    The folder that -o names becomes the model: weights, facts, a report to look at. The same command again resumes
    a run that was stopped, and returns at once when it has finished.
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@group.command(context_settings=SETTINGS)
def recognizer(
    data: Data,
    output: Output = None,
    network: Annotated[
        str,
        typer.Option(help="auto, convnet, alexnet, speednet, timm:NAME (pretrained), timm:NAME@PATH (weights there)."),
    ] = "auto",
    size: Size = None,
    minutes: Minutes = None,
    epochs: Epochs = None,
    batch: Batch = None,
    lr: Rate = None,
    seed: Seed = 0,
    validate: Validate = None,
    manifest: Manifest = None,
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Train a recognizer, which tells your classes apart.

    Example: diptych fit recognizer photos/ -o models/pets --minutes 10

    Scores on held-out pictures are printed; FOLDER/report.html shows them with the errors. The same command again
    resumes.
    """
    options = {"network": network, "size": size, "minutes": minutes, "epochs": epochs, "batch": batch, "lr": lr}
    _fit("recognizer", {**options, "seed": seed}, data, output, validate, manifest, json)


@group.command(context_settings=SETTINGS)
def gan(
    data: Data,
    output: Output = None,
    network: Annotated[str, typer.Option(help="dcgan, or dcgan-classic (the one of 2016).")] = "dcgan",
    loss: Annotated[
        str | None,
        typer.Option(help="relativistic, non-saturating or minimax.  [default: the first; classic: the second]"),
    ] = None,
    latent: Latent = None,
    size: Size = None,
    minutes: Minutes = None,
    epochs: Epochs = None,
    batch: Batch = None,
    lr: Rate = None,
    seed: Seed = 0,
    validate: Validate = None,
    manifest: Manifest = None,
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Train a GAN: a generator learns to fool a critic.

    Example: diptych fit gan photos/ -o models/pets-gan --size 64 --minutes 10

    FOLDER/report.html shows grids of samples as training went. The same command again resumes.
    """
    own = {"network": network, "loss": loss, "latent": latent}
    options = {"size": size, "minutes": minutes, "epochs": epochs, "batch": batch, "lr": lr, "seed": seed}
    _fit("gan", {**own, **options}, data, output, validate, manifest, json)


@group.command(context_settings=SETTINGS)
def vae(
    data: Data,
    output: Output = None,
    network: Annotated[str, typer.Option(help="convvae.")] = "convvae",
    beta: Annotated[float, typer.Option(min=0.0, help="Weight of the prior: above 1 for tidier latents.")] = 1.0,
    prior: Annotated[
        str, typer.Option(help="What samples are drawn from: mixture (fitted afterwards, sharper) or normal.")
    ] = "mixture",
    latent: Latent = None,
    size: Size = None,
    minutes: Minutes = None,
    epochs: Epochs = None,
    batch: Batch = None,
    lr: Rate = None,
    seed: Seed = 0,
    validate: Validate = None,
    manifest: Manifest = None,
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Train a VAE: pictures to a few numbers and back.

    The surest to train; its pictures are the softest.

    Example: diptych fit vae photos/ -o models/pets-vae --size 64 --minutes 10

    FOLDER/report.html shows grids of samples as training went. The same command again resumes.
    """
    own = {"network": network, "beta": beta, "prior": prior, "latent": latent}
    options = {"size": size, "minutes": minutes, "epochs": epochs, "batch": batch, "lr": lr, "seed": seed}
    _fit("vae", {**own, **options}, data, output, validate, manifest, json)


@group.command(context_settings=SETTINGS)
def flow(
    data: Data,
    output: Output = None,
    network: Annotated[
        str, typer.Option(help="unet (sized to pictures, machine and minutes), unet-small or unet-large.")
    ] = "unet",
    guidance: Annotated[float, typer.Option(min=0.0, help="How strictly samples follow their class.")] = 2.0,
    steps: Annotated[int, typer.Option(min=1, help="Sampling steps; diptych tune makes them 1 or 2.")] = 16,
    size: Size = None,
    minutes: Minutes = None,
    epochs: Epochs = None,
    batch: Batch = None,
    lr: Rate = None,
    seed: Seed = 0,
    validate: Validate = None,
    manifest: Manifest = None,
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Train a flow: noise is carried to pictures.

    The best pictures; slower to sample.

    Example: diptych fit flow photos/ -o models/pets-flow --size 64 --minutes 10

    FOLDER/report.html shows grids of samples as training went. The same command again resumes.
    """
    own = {"network": network, "guidance": guidance, "steps": steps}
    options = {"size": size, "minutes": minutes, "epochs": epochs, "batch": batch, "lr": lr, "seed": seed}
    _fit("flow", {**own, **options}, data, output, validate, manifest, json)


def _fit(
    kind: str,
    options: dict[str, Any],
    data: str,
    output: Path | None,
    validate: str | None,
    manifest: Path | None,
    json: bool,
) -> None:
    from diptych.cli.fit_run import train

    # What a person leaves out is the model's to choose; 10 epochs are 10, not 10.0.
    given = {
        name: int(value) if isinstance(value, float) and name == "epochs" and value.is_integer() else value
        for name, value in options.items()
        if value is not None
    }
    raise typer.Exit(train(kind, given, data, output, validate, manifest, json))


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.add_typer(group, name="fit", short_help="Train a recognizer, a GAN, a VAE or a flow.")
