"""What ``diptych edit`` shows: all results beside their sources, on one sheet and on one page."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from diptych.report import Gallery, Report, Verdict, figures

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from diptych.marks import Generated

INPUTS = ("before", "mask, in grey", "from", "to", "first", "second")  # headings of what a person gave
MAX_ROWS = 64  # of a sheet and of a page; more are too many to compare
MAX_TOGETHER = 3  # pictures of a row that stay side by side on a phone
# By verb, what the page begins with: a title, a sentence of how many pictures, and what to look for.
WORDS = {
    "reconstruct": ("Reconstruction", "encoded and decoded again", "What is missing afterwards the model cannot show."),
    "interpolate": (
        "Interpolation",
        "generated on the way from each picture to the next",
        "The ends are encoded, too.",
    ),
    "traverse": (
        "Traversal",
        "generated along directions of latent space",
        "The middle of a row is the picture itself.",
    ),
    "inpaint": ("Inpainting", "filled where the mask is white", "Every other pixel is exactly as it was."),
    "blend": ("Blend", "blended", "Look for the seam, which should not show."),
    "restyle": ("Restyling", "turned towards another class", "The background changes, too."),
}


def edit_report(
    verb: str,
    kind: str,
    model: str,
    count: int,
    columns: "Mapping[str, NDArray[np.uint8]]",
    captions: Sequence[str],
    animation: bytes | None,
    marks: "Mapping[str, Generated | None]",
) -> Report:
    """The page of an edit.

    Parameters
    ----------
    count
        Of the results.
    columns
        By heading, (N, S, S, 3): such as "before" and "after".
    captions
        (N,) of the rows.
    animation
        A GIF, if there is one.
    marks
        What the pictures below each heading are marked with; ``None``: they are real.
    """
    title, done, hint = WORDS[verb]
    side = next(iter(columns.values())).shape[1]
    report = Report(f"{title} by {model}")
    report.verdict = Verdict(
        "done",
        f"{count:,} {'picture' if count == 1 else 'pictures'} {done}.",
        f"{hint} All are squares of {side} px, as in training.",
        f"for better ones, train longer: diptych fit {kind} DATA -o MODEL --more 10",
    ).with_names(model=model)
    if animation is not None:
        report.figures["There and back, as an animation"] = animation
    rows = [_gallery(columns, marks, i) for i in range(len(captions))]
    if len(columns) > MAX_TOGETHER:
        report.figures |= {
            f"{i}. {caption}": row for i, (caption, row) in enumerate(zip(captions, rows, strict=True), 1)
        }
    else:
        tiles = [tile for row in rows for tile in row.pictures]
        texts = [(caption, heading) for caption in captions for heading in columns]
        report.figures["All results"] = Gallery(tiles, texts, group=len(columns))
    return report


def _gallery(columns: "Mapping[str, NDArray[np.uint8]]", marks: "Mapping[str, Generated | None]", row: int) -> Gallery:
    generated = [marks[heading] for heading in columns]
    return figures.gallery([pixels[row] for pixels in columns.values()], list(columns), generated=generated)
