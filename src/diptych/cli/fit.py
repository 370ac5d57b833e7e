"""``diptych fit``: train a recognizer or a synthesizer."""

from pathlib import Path
from typing import Annotated, Any

import typer

from diptych.cli.options import SETTINGS, Config, Data, Json, Manifest, Quiet

Output = Annotated[
    Path | None,
    typer.Option("-o", "--output", metavar="FOLDER", help="Folder of the model.  [default: models/<data>-<kind>]"),
]
Size = Annotated[int | None, typer.Option(min=8, help="Side length of the pictures in px.  [default: from the data]")]
Minutes = Annotated[float | None, typer.Option(min=0.01, help="Time budget; training is scheduled to end within it.")]
Epochs = Annotated[float | None, typer.Option(min=0.01, help="Passes over the pictures (instead of --minutes).")]
Batch = Annotated[int | None, typer.Option(min=1, help="Batch size.  [default: the network's]")]
Rate = Annotated[float | None, typer.Option("--lr", min=0.0, help="Peak learning rate.  [default: the network's]")]
Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same model on the same machine.")]
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
Latent = Annotated[int | None, typer.Option(min=1, help="Dimension of the latent space.  [default: chosen]")]

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


@group.command(context_settings=SETTINGS)
def recognizer(
    data: Data,
    output: Output = None,
    network: Annotated[
        str,
        typer.Option(
            help="auto, convnet, alexnet, speednet, lite0 (pretrained, built in), timm:NAME (pretrained), "
            "timm:NAME@PATH (local weights)."
        ),
    ] = "auto",
    size: Size = None,
    minutes: Minutes = None,
    epochs: Epochs = None,
    batch: Batch = None,
    lr: Rate = None,
    imbalance: Annotated[
        str,
        typer.Option(
            metavar="auto|none",
            help="Correct for classes of uneven size by the method that validates best (auto), or not (none).",
        ),
    ] = "auto",
    seed: Seed = 0,
    validate: Validate = None,
    more: More = None,
    start: Start = None,
    manifest: Manifest = None,
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Train a recognizer, which distinguishes your classes.

    Example: diptych fit recognizer photos/ -o models/pets --minutes 10

    Scores on held-out pictures are printed; FOLDER/report.html shows them with the worst errors. The same command
    again resumes.
    """
    options = {"size": size, "minutes": minutes, "epochs": epochs, "batch": batch, "lr": lr, "seed": seed}
    _fit(
        "recognizer",
        {"network": network, "imbalance": imbalance, **options},
        data,
        output,
        validate,
        more,
        start,
        manifest,
        json,
    )


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
    more: More = None,
    start: Start = None,
    manifest: Manifest = None,
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Train a GAN: a generator is trained against a critic.

    Example: diptych fit gan photos/ -o models/pets-gan --size 64 --minutes 10

    FOLDER/report.html shows grids of samples over the course of training. The same command again resumes.
    """
    method_options = {"network": network, "loss": loss, "latent": latent}
    options = {"size": size, "minutes": minutes, "epochs": epochs, "batch": batch, "lr": lr, "seed": seed}
    _fit("gan", {**method_options, **options}, data, output, validate, more, start, manifest, json)


@group.command(context_settings=SETTINGS)
def vae(
    data: Data,
    output: Output = None,
    network: Annotated[str, typer.Option(help="convvae.")] = "convvae",
    beta: Annotated[
        float, typer.Option(min=0.0, help="Weight of the KL divergence: above 1 for more disentangled latents.")
    ] = 1.0,
    prior: Annotated[
        str, typer.Option(help="Distribution that latents are sampled from: mixture (fitted, sharper) or normal.")
    ] = "mixture",
    latent: Latent = None,
    size: Size = None,
    minutes: Minutes = None,
    epochs: Epochs = None,
    batch: Batch = None,
    lr: Rate = None,
    seed: Seed = 0,
    validate: Validate = None,
    more: More = None,
    start: Start = None,
    manifest: Manifest = None,
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Train a VAE: an encoder from pictures to a few numbers, and a decoder back.

    The most reliable to train; its samples are the least sharp.

    Example: diptych fit vae photos/ -o models/pets-vae --size 64 --minutes 10

    FOLDER/report.html shows grids of samples over the course of training. The same command again resumes.
    """
    method_options = {"network": network, "beta": beta, "prior": prior, "latent": latent}
    options = {"size": size, "minutes": minutes, "epochs": epochs, "batch": batch, "lr": lr, "seed": seed}
    _fit("vae", {**method_options, **options}, data, output, validate, more, start, manifest, json)


@group.command(context_settings=SETTINGS)
def flow(
    data: Data,
    output: Output = None,
    network: Annotated[
        str, typer.Option(help="unet (sized by pictures, machine and minutes), unet-small or unet-large.")
    ] = "unet",
    guidance: Annotated[
        float, typer.Option(min=0.0, help="Guidance scale: higher follows the class more closely.")
    ] = 2.0,
    steps: Annotated[int, typer.Option(min=1, help="Sampling steps; 1 or 2 after diptych tune.")] = 16,
    size: Size = None,
    minutes: Minutes = None,
    epochs: Epochs = None,
    batch: Batch = None,
    lr: Rate = None,
    seed: Seed = 0,
    validate: Validate = None,
    more: More = None,
    start: Start = None,
    manifest: Manifest = None,
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Train a flow: a velocity field carries noise to pictures (flow matching).

    The best samples; the slowest to sample from.

    Example: diptych fit flow photos/ -o models/pets-flow --size 64 --minutes 10

    FOLDER/report.html shows grids of samples over the course of training. The same command again resumes.
    """
    method_options = {"network": network, "guidance": guidance, "steps": steps}
    options = {"size": size, "minutes": minutes, "epochs": epochs, "batch": batch, "lr": lr, "seed": seed}
    _fit("flow", {**method_options, **options}, data, output, validate, more, start, manifest, json)


def _fit(
    kind: str,
    options: dict[str, Any],
    data: str,
    output: Path | None,
    validate: str | None,
    more: float | None,
    start: Path | None,
    manifest: Path | None,
    json: bool,
) -> None:
    from diptych.cli.fit_run import train

    # An option that is left out keeps the model's default; 10 epochs are stored as 10, not as 10.0.
    parameters = {
        name: int(value) if isinstance(value, float) and name == "epochs" and value.is_integer() else value
        for name, value in options.items()
        if value is not None
    }
    raise typer.Exit(train(kind, parameters, data, output, validate, more, start, manifest, json))


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.add_typer(group, name="fit", short_help="Train a recognizer, a GAN, a VAE or a flow.")
