"""``diptych edit``: reconstruct, interpolate, traverse, inpaint, blend and restyle pictures with a synthesizer."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from diptych.cli import console
from diptych.cli.models import SYNTHESIZERS, load_model
from diptych.cli.options import SETTINGS, Config, Json, Model, Quiet
from diptych.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from diptych.data.images import Images

Pictures = Annotated[
    list[str],
    typer.Argument(metavar="PICTURE...", help="Pictures, or one folder or data set, whose labels are then known."),
]
Output = Annotated[
    Path | None,
    typer.Option("-o", "--output", metavar="FOLDER", help="A new folder for the results.  [default: <MODEL>-<verb>]"),
]
Label = Annotated[
    str | None, typer.Option(metavar="CLASS", help="What the pictures show.  [default: as their data set says]")
]
Seed = Annotated[int, typer.Option(min=0, help="Another seed may give another answer.")]
Steps = Annotated[int, typer.Option(min=2, help="Pictures on the way, with both ends.")]

group = typer.Typer(rich_markup_mode=None, add_completion=False)


@group.callback(invoke_without_command=True)
def edit(context: typer.Context) -> None:
    """Change pictures of your own with a synthesizer: what it makes of them, between them, and in their place.

    Example: diptych edit inpaint models/pets-flow cat.jpg --mask hole.png -o out/

    Pictures are seen as in training: the largest centred square, at the model's size. The folder that -o names gets
    the results as PNG, grid.png with all of them beside what they were made from, and metadata.csv, which says of each
    what it comes from and whether all of it is made ("synthetic") or part of it ("composite"). Your own pictures are
    never written to.
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@group.command(context_settings=SETTINGS)
def reconstruct(
    model: Model,
    pictures: Pictures,
    output: Output = None,
    label: Label = None,
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Encode pictures and decode them again: what the model can say of them, and what it cannot.

    Example: diptych edit reconstruct models/pets-vae cat.jpg dog.jpg -o out/
    """
    work = Work("reconstruct", model, pictures, output)
    made = work.synthesizer.reconstruct(work.images, label=label)
    work.finish(made, json, work.given.pixels(work.size), work.pixels(made))


@group.command(context_settings=SETTINGS)
def interpolate(
    model: Model,
    pictures: Pictures,
    output: Output = None,
    steps: Steps = 12,
    label: Label = None,
    mp4: Annotated[bool, typer.Option("--mp4", help="Write film.mp4, too; needs diptych[video].")] = False,
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Go from each picture to the next, as a sheet and a film (film.gif).

    Example: diptych edit interpolate models/pets-flow cat.jpg dog.jpg --steps 24 -o out/
    """
    import numpy as np

    from diptych.report import animation

    if mp4:
        animation.mp4_encoder()  # said before all else is made
    work = Work("interpolate", model, pictures, output)
    if len(work.images) < 2:
        raise UsageError("There is nothing to go to: name two pictures or more.")
    made = work.synthesizer.interpolate(work.images[:-1], work.images[1:], steps=steps, label=label)
    frames = work.pixels(made)
    there_and_back = np.concatenate([frames, frames[-2:0:-1]])
    films = {"film.gif": animation.gif(there_and_back), **({"film.mp4": animation.mp4(there_and_back)} if mp4 else {})}
    work.finish(made, json, frames, columns=steps, films=films)


@group.command(context_settings=SETTINGS)
def traverse(
    model: Model,
    pictures: Pictures,
    output: Output = None,
    directions: Annotated[int, typer.Option(min=1, help="How many directions, those that matter most first.")] = 6,
    steps: Steps = 7,
    reach: Annotated[float, typer.Option(help="How far to go, in standard deviations.")] = 3.0,
    label: Label = None,
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Move pictures along one direction of latent space at a time: a line of the sheet for each.

    Example: diptych edit traverse models/pets-vae cat.jpg --directions 8 -o out/
    """
    work = Work("traverse", model, pictures, output)
    made = work.synthesizer.traverse(work.images, directions=directions, steps=steps, reach=reach, label=label)
    work.finish(made, json, work.pixels(made), columns=steps, directions=directions, reach=reach)


@group.command(context_settings=SETTINGS)
def inpaint(
    model: Model,
    pictures: Pictures,
    mask: Annotated[
        str, typer.Option(metavar="PATH", help="White where to make anew: a picture, or a folder of one each.")
    ],
    output: Output = None,
    label: Label = None,
    seed: Seed = 0,
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Make anew what a mask hides; all else stays exactly as it is.

    Example: diptych edit inpaint models/pets-flow cat.jpg --mask hole.png -o out/
    """
    from diptych.synthesis.editing.compositing import hole_masks

    work = Work("inpaint", model, pictures, output)
    over = work.mask(mask)
    made = work.synthesizer.inpaint(work.images, over, label=label, seed=seed)
    given = work.given.pixels(work.size)
    hidden = hole_masks(over, work.images, work.size).permute(0, 2, 3, 1).numpy()
    work.finish(made, json, given, np_where(hidden, given), work.pixels(made), seed=seed)


@group.command(context_settings=SETTINGS)
def blend(
    model: Model,
    pictures: Pictures,
    mask: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="White where the second is to be seen.  [default: the right half]"),
    ] = None,
    output: Output = None,
    label: Annotated[str | None, typer.Option(metavar="CLASS", help="The class of what is made.")] = None,
    seed: Seed = 0,
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Put two pictures into one, with a seam that does not show; one alone is blended with a made one.

    Example: diptych edit blend models/pets-flow cat.jpg dog.jpg --mask half.png -o out/
    """
    work = Work("blend", model, pictures, output)
    if len(work.images) > 2:
        raise UsageError(f"Blending is of two pictures, or of one with a made one, not of {len(work.images)}.")
    first, second = work.images[:1], work.images[1:]
    over = None if mask is None else work.mask(mask)
    made = work.synthesizer.blend(first, second if len(second) else None, mask=over, label=label, seed=seed)
    shown = [*work.given.pixels(work.size)[:, None], work.pixels(made)]
    work.finish(made, json, *shown, seed=seed)


@group.command(context_settings=SETTINGS)
def restyle(
    model: Model,
    pictures: Pictures,
    to: Annotated[str, typer.Option(metavar="CLASS", help="The class to turn to.")],
    output: Output = None,
    strength: Annotated[float, typer.Option(help="From 0, the picture itself, to 1, all that the model can do.")] = 0.7,
    label: Label = None,
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Turn pictures towards another class.

    Example: diptych edit restyle models/pets-flow cat.jpg --to dog --strength 0.6 -o out/
    """
    work = Work("restyle", model, pictures, output)
    made = work.synthesizer.restyle(work.images, to, strength=strength, own=label)
    work.finish(made, json, work.given.pixels(work.size), work.pixels(made), to=to, strength=strength)


class Work:
    """One edit: its model, its pictures and the place of its results, each checked before anything is made."""

    def __init__(self, verb: str, model: Path, paths: list[str], output: Path | None) -> None:
        self.verb, self.model = verb, model
        self.synthesizer: Any = load_model(model, *SYNTHESIZERS)
        self.size: int = self.synthesizer.size_
        from diptych.cli.edit_output import InputPictures, OutputFolder

        self.given = InputPictures(paths, self.size)
        self.place = OutputFolder(output or model.with_name(f"{model.resolve().name}-{verb}"), self.images)

    @property
    def images(self) -> "Images":
        """The pictures that can be read."""
        return self.given.images

    def mask(self, path: str) -> "Images":
        """One mask for all, or those of the pictures that can be read."""
        from diptych.cli.edit_output import open_pictures

        masks = open_pictures([path])
        return masks[self.given.kept] if len(masks) == len(self.given.kept) > 1 else masks

    def pixels(self, made: "Images") -> "NDArray[np.uint8]":
        """(N, S, S, 3) of what was made."""
        return made.pixels(self.size).permute(0, 2, 3, 1).numpy()

    def finish(
        self,
        made: "Images",
        json: bool,
        *lines: "NDArray[np.uint8]",
        columns: int | None = None,
        films: dict[str, bytes] | None = None,
        **settings: Any,
    ) -> None:
        """Write all of it and tell where; exits with 4 where a picture was left out."""
        from diptych.cli.edit_output import A_LINE, GRID, sheet

        others = {GRID: sheet(*lines, columns=columns or A_LINE), **(films or {})}
        about = {"edit": self.verb, "model": str(self.model), **settings, "left_out": self.given.left_out}
        record = self.place.write(made, self.size, about, others)
        places = {Path(name).stem if name == GRID else name.replace("film.", ""): str(self.place.folder / name)
                  for name in others}  # fmt: skip
        if json:
            console.print_json({**record, **places})
        else:
            console.print_text(
                f"{len(made)} pictures are in {self.place.folder}; to look at: {', '.join(places.values())}"
            )
        if self.given.left_out:
            raise typer.Exit(4)


def np_where(hidden: "NDArray[np.bool_]", given: "NDArray[np.uint8]") -> "NDArray[np.uint8]":
    """Pictures with grey where they are hidden."""
    import numpy as np

    return np.where(hidden, np.uint8(128), given)


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.add_typer(group, name="edit", short_help="Change pictures of your own with a synthesizer.")
