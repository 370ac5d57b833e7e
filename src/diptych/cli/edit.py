"""``diptych edit``: reconstruct, interpolate, traverse, inpaint, blend and restyle pictures with a synthesizer."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from diptych.cli import console
from diptych.cli.models import SYNTHESIZERS, default_output, load_model
from diptych.cli.options import SETTINGS, Config, Json, Model, Quiet, VisibleLabel
from diptych.data.messages import counted
from diptych.errors import UsageError
from diptych.files import check_output_folder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from diptych.data.images import Images

Pictures = Annotated[
    list[str],
    typer.Argument(metavar="PICTURE...", help="Pictures, or one folder or data set, whose labels are then used."),
]
Output = Annotated[
    Path | None,
    typer.Option("-o", "--output", metavar="FOLDER", help="A new folder for the results.  [default: <MODEL>-<verb>]"),
]
Label = Annotated[
    str | None, typer.Option(metavar="CLASS", help="Class of the pictures.  [default: their label in the data set]")
]
Seed = Annotated[int, typer.Option(min=0, help="Another seed may give another result.")]
Steps = Annotated[int, typer.Option(min=2, help="Number of pictures from one end to the other, both included.")]

_NEXT = {  # the edit to try after each
    "reconstruct": ("interpolate", "PICTURE", "PICTURE"),
    "interpolate": ("traverse", "PICTURE"),
    "traverse": ("inpaint", "PICTURE", "--mask", "MASK"),
    "inpaint": ("blend", "PICTURE", "PICTURE"),
    "blend": ("restyle", "PICTURE", "--to", "CLASS"),
    "restyle": ("reconstruct", "PICTURE"),
}

group = typer.Typer(rich_markup_mode=None, add_completion=False)


@group.callback(invoke_without_command=True)
def edit(context: typer.Context) -> None:
    """Edit your own pictures with a synthesizer: reconstruct, interpolate, traverse, inpaint, blend, restyle.

    Example: diptych edit inpaint models/pets-flow cat.jpg --mask hole.png -o out/

    Pictures are cropped as in training: the largest centred square, at the model's size. The folder given by -o gets
    the results as PNG, a page (report.html) and a sheet (grid.png) with all of them beside their sources, and
    metadata.csv with the source of each and whether all of it is generated ("synthetic") or part of it ("composite").
    Your own pictures are never changed.
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@group.command(context_settings=SETTINGS)
def reconstruct(
    model: Model,
    pictures: Pictures,
    output: Output = None,
    label: Label = None,
    visible_label: VisibleLabel = False,
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Encode pictures and decode them again, which shows what the model can represent.

    Example: diptych edit reconstruct models/pets-vae cat.jpg dog.jpg -o out/
    """
    job = EditJob("reconstruct", model, pictures, output, visible_label)
    edited = job.synthesizer.reconstruct(job.images, label=label)
    job.finish(edited, json, {"before": job.input_pixels, "after": job.pixels(edited)})


@group.command(context_settings=SETTINGS)
def interpolate(
    model: Model,
    pictures: Pictures,
    output: Output = None,
    steps: Steps = 12,
    label: Label = None,
    mp4: Annotated[bool, typer.Option("--mp4", help="Also write film.mp4; needs diptych[video].")] = False,
    visible_label: VisibleLabel = False,
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Interpolate from each picture to the next; writes a sheet and an animation (film.gif).

    Example: diptych edit interpolate models/pets-flow cat.jpg dog.jpg --steps 24 -o out/
    """
    import numpy as np

    from diptych.report import animation

    if mp4:
        animation.mp4_encoder()  # fails before any work is done if the encoder is missing
    job = EditJob("interpolate", model, pictures, output, visible_label)
    if len(job.images) < 2:
        raise UsageError("Interpolation needs two pictures or more. Name another picture.")
    edited = job.synthesizer.interpolate(job.images[:-1], job.images[1:], steps=steps, label=label)
    frames = job.pixels(edited)
    between = {f"{i / (steps - 1):.0%}": frames[i::steps] for i in range(steps)}
    there_and_back = np.concatenate([frames, frames[-2:0:-1]])
    animations = {"film.gif": animation.gif(there_and_back)}
    if mp4:
        animations["film.mp4"] = animation.mp4(there_and_back)
    columns = {"from": job.input_pixels[:-1], **between, "to": job.input_pixels[1:]}
    job.finish(edited, json, columns, animations=animations)


@group.command(context_settings=SETTINGS)
def traverse(
    model: Model,
    pictures: Pictures,
    output: Output = None,
    directions: Annotated[int, typer.Option(min=1, help="Number of directions, the most informative first.")] = 6,
    steps: Steps = 7,
    reach: Annotated[float, typer.Option(min=0.001, max=100, help="How far to go, in standard deviations.")] = 3.0,
    label: Label = None,
    visible_label: VisibleLabel = False,
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Move pictures along one direction of latent space at a time; each direction is a row of the sheet.

    Example: diptych edit traverse models/pets-vae cat.jpg --directions 8 -o out/
    """
    job = EditJob("traverse", model, pictures, output, visible_label)
    edited = job.synthesizer.traverse(job.images, directions=directions, steps=steps, reach=reach, label=label)
    moved = job.pixels(edited)
    columns = {f"{edited.groups['offset'][i]:+.1f} σ": moved[i::steps] for i in range(steps)}
    job.finish(edited, json, columns, directions=directions, reach=reach)


@group.command(context_settings=SETTINGS)
def inpaint(
    model: Model,
    pictures: Pictures,
    mask: Annotated[
        str,
        typer.Option(
            metavar="PATH", help="White where to generate: one mask, or a folder with one of each picture's name."
        ),
    ],
    output: Output = None,
    label: Label = None,
    seed: Seed = 0,
    visible_label: VisibleLabel = False,
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Fill the part of pictures that a mask marks; every other pixel stays exactly as it is.

    Example: diptych edit inpaint models/pets-flow cat.jpg --mask hole.png -o out/
    """
    from diptych.synthesis.editing.masks import hole_masks

    job = EditJob("inpaint", model, pictures, output, visible_label)
    masks = job.masks(mask)
    edited = job.synthesizer.inpaint(job.images, masks, label=label, seed=seed)
    holes = hole_masks(masks, job.images, job.size).permute(0, 2, 3, 1).numpy()
    masked = grey_out(holes, job.input_pixels)
    columns = {"before": job.input_pixels, "mask, in grey": masked, "after": job.pixels(edited)}
    job.finish(edited, json, columns, seed=seed)


@group.command(context_settings=SETTINGS)
def blend(
    model: Model,
    pictures: Pictures,
    mask: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="White where the second picture shows.  [default: the right half]"),
    ] = None,
    output: Output = None,
    label: Annotated[str | None, typer.Option(metavar="CLASS", help="The class of the result.")] = None,
    seed: Seed = 0,
    visible_label: VisibleLabel = False,
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Blend two pictures into one without a visible seam; a single picture is blended with a generated one.

    Example: diptych edit blend models/pets-flow cat.jpg dog.jpg --mask half.png -o out/
    """
    job = EditJob("blend", model, pictures, output, visible_label)
    if len(job.images) > 2:
        raise UsageError(f"Blending takes one picture or two, not {len(job.images)}. Leave out the others.")
    first, second = job.images[:1], job.images[1:]
    masks = None if mask is None else job.masks(mask)
    edited = job.synthesizer.blend(first, second if len(second) else None, mask=masks, label=label, seed=seed)
    sources = dict(zip(("first", "second"), job.input_pixels[:, None], strict=False))
    job.finish(edited, json, {**sources, "after": job.pixels(edited)}, seed=seed)


@group.command(context_settings=SETTINGS)
def restyle(
    model: Model,
    pictures: Pictures,
    to: Annotated[str, typer.Option(metavar="CLASS", help="The target class.")],
    output: Output = None,
    strength: Annotated[
        float, typer.Option(min=0, max=1, help="From 0, the picture itself, to 1, the strongest change.")
    ] = 0.7,
    label: Label = None,
    visible_label: VisibleLabel = False,
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Turn pictures towards another class.

    Example: diptych edit restyle models/pets-flow cat.jpg --to dog --strength 0.6 -o out/
    """
    job = EditJob("restyle", model, pictures, output, visible_label)
    edited = job.synthesizer.restyle(job.images, to, strength=strength, own=label)
    columns = {"before": job.input_pixels, f"towards {to}": job.pixels(edited)}
    job.finish(edited, json, columns, to=to, strength=strength)


class EditJob:
    """One edit: its model, its input pictures and its output folder, each checked before any work is done."""

    def __init__(self, verb: str, model: Path, paths: list[str], output: Path | None, visible_label: bool) -> None:
        self.verb, self.model, self.visible_label = verb, model, visible_label
        folder = output or default_output(model, verb)
        check_output_folder(folder)
        self.synthesizer: Any = load_model(model, *SYNTHESIZERS)
        self.size: int = self.synthesizer.size_
        from diptych.cli.edit_output import InputPictures, OutputFolder
        from diptych.report.visible_label import can_be_labelled, too_small

        self.inputs = InputPictures(paths, self.size)
        if visible_label and not can_be_labelled(self.size, self.size):
            console.log.warning(too_small(self.size))
        self.output = OutputFolder(folder, self.images, visible_label)

    @property
    def images(self) -> "Images":
        """The input pictures that can be read."""
        return self.inputs.images

    @cached_property
    def input_pixels(self) -> "NDArray[np.uint8]":
        """(N, S, S, 3) of the input pictures, as the model sees them."""
        return self.inputs.pixels(self.size)

    def masks(self, path: str) -> "Images":
        """One mask for all pictures, or the mask of each picture that can be read."""
        from diptych.cli.edit_output import open_pictures
        from diptych.synthesis.editing.masks import mask_rows

        masks = open_pictures([path])
        return masks[mask_rows(masks, self.inputs.given)[self.inputs.readable]] if len(masks) > 1 else masks

    def pixels(self, edited: "Images") -> "NDArray[np.uint8]":
        """(N, S, S, 3) of the results, with a visible label if it is asked for."""
        from diptych.cli.edit_output import result_pixels

        return result_pixels(edited, self.size, self.visible_label)

    def finish(
        self,
        edited: "Images",
        as_json: bool,
        columns: "dict[str, NDArray[np.uint8]]",
        *,
        animations: dict[str, bytes] | None = None,
        **settings: Any,
    ) -> None:
        """Write the results, and a sheet and a page of ``columns``, pictures by heading; prints the paths.

        Exits with 4 if a picture was left out.
        """
        from diptych.cli.edit_output import GRID, PAGE, row_captions
        from diptych.cli.edit_report import INPUTS, MAX_ROWS, edit_report
        from diptych.data.provenance import joint_facts, sheet_facts
        from diptych.marks import mark_if
        from diptych.report.contact_sheet import contact_sheet

        shown = {heading: pixels[:MAX_ROWS] for heading, pixels in columns.items()}
        rows = len(next(iter(columns.values())))
        captions = row_captions(edited, steps=len(edited) // rows)[:MAX_ROWS]
        given, generated = sheet_facts(self.images), sheet_facts(edited)
        marks = {heading: given if heading in INPUTS else generated for heading in columns}
        extra_files = {GRID: contact_sheet(shown, captions, joint_facts(list(marks.values())))}
        extra_files |= {name: mark_if(film, generated) for name, film in (animations or {}).items()}
        film, model = extra_files.get("film.gif"), str(self.model)
        page = edit_report(self.verb, self.synthesizer.kind, model, len(edited), shown, captions, film, marks)
        extra_files[PAGE] = page.html().encode()
        facts = {"edit": self.verb, "model": model, **settings, "left_out": self.inputs.left_out}
        record = self.output.write(edited, self.size, facts, extra_files)
        folder = self.output.folder
        extra_paths = {  # by "grid", "gif", "mp4" and "report"
            name.replace("film.", "") if "film" in name else Path(name).stem: str(folder / name) for name in extra_files
        }
        if as_json:
            console.print_json({**record, **extra_paths})
        else:
            count = counted(len(edited), "picture")
            console.print_text(f"{count} in {folder}; overview: {', '.join(extra_paths.values())}")
            console.suggest("edit", _NEXT[self.verb][0], self.model, *_NEXT[self.verb][1:])
        if self.inputs.left_out:
            raise typer.Exit(4)


def grey_out(holes: "NDArray[np.bool_]", pixels: "NDArray[np.uint8]") -> "NDArray[np.uint8]":
    """(N, S, S, 3) pictures, grey where ``holes`` (N, S, S, 1) is true."""
    import numpy as np

    return np.where(holes, np.uint8(128), pixels)


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.add_typer(group, name="edit", short_help="Edit your own pictures with a synthesizer.")
