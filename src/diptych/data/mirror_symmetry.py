"""Whether pictures look as likely when mirrored, so that mirroring adds training pictures and teaches nothing false."""

from collections.abc import Iterable

from torch import Tensor

from diptych.data.transforms import to_float

# Of the ratio below: chance and correlated pixels stay under it, letters and digits are far above.
MAX_ASYMMETRY = 4.0


def is_mirror_symmetric(pixels: Tensor, groups: Iterable[Tensor]) -> bool:
    """Whether the pictures of each group look as likely when mirrored left to right.

    If they do, the difference d of a picture and its mirror image is as likely as its negative, so that the differences
    cancel out: |Σ d|² is about Σ |d|², whatever their number n. Where the two sides differ, as in writing, it
    grows with n instead.

    Parameters
    ----------
    pixels
        (N, 3, S, S) uint8.
    groups
        The rows of each group, such as a class: numbers, or (N,) bool.
    """
    return all(_asymmetry(pixels[rows]) <= MAX_ASYMMETRY for rows in groups)


def _asymmetry(pixels: Tensor) -> float:
    """|Σ d|² / Σ |d|²."""
    pictures = to_float(pixels)
    differences = (pictures - pictures.flip(3)).double()
    return float(differences.sum(dim=0).square().sum() / differences.square().sum().clamp(min=1e-9))
