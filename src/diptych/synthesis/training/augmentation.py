"""Random changes that make more of few pictures, so that none is memorised.

For critics they are differentiable, and the same on real and generated pictures (Zhao et al. 2020, "Differentiable
augmentation for data-efficient GAN training"): the generator is trained through them, so it learns pictures and not
changed pictures, and the critic never sees a picture twice the same.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from diptych.data.transforms import crop_to, random_windows

MANY_PICTURES, VERY_FEW_PICTURES = 20_000, 1000  # to train on: from the one on "many", below the other "very few"
SMALL_SIZE = 16  # px: no room for shifts, and learned before the critic has memorised it
MIN_WINDOW = 0.5  # of a picture's area
MILD = ("brightness", "contrast", "translation")


def augmentations_for(pictures: int, size: int) -> tuple[str, ...]:
    """The changes for so many pictures of ``size`` px a side; none where there are many.

    With very few, the critic is shown all of them; with some thousands, saturation and cutout cost more than they gain.
    """
    if size <= SMALL_SIZE or pictures >= MANY_PICTURES:
        return ()
    return MILD if pictures >= VERY_FEW_PICTURES else tuple(CHANGES)


def smallest_crop(pictures: int, size: int) -> float:
    """The smallest share of a picture's area that an autoencoder is shown, of so many pictures of ``size`` px a side.

    Of few pictures it soon decodes those that it has seen better and all others worse; of crops there is no end.
    Its samples are not cropped for that: the latents that they are decoded from are those of whole pictures.
    """
    return 0.6 if is_small_set(pictures, size) else 1.0


def is_small_set(pictures: int, size: int) -> bool:
    """Whether a network of some million parameters would soon memorise so many pictures of ``size`` px a side."""
    return size > SMALL_SIZE and pictures < MANY_PICTURES


def crop_half(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Crop the first half of a batch, and return for each picture the window that it shows.

    A network that is conditioned on the window learns from the crops, of which there is no end, and still generates
    whole pictures (Karras et al. 2022, "Elucidating the design space", appendix F.2).

    Parameters
    ----------
    pictures
        (B, 3, S, S) in -1..1, in random order.

    Returns
    -------
    (B, 3, S, S) pictures, and (B, 4) windows as :func:`diptych.data.transforms.random_windows` has them.
    """
    half = len(pictures) // 2
    windows = torch.zeros(len(pictures), 4, device=pictures.device)
    windows[:, :2] = 1.0  # the whole
    if not half:
        return pictures, windows
    windows[:half] = random_windows(half, MIN_WINDOW, pictures.device)
    cropped = pictures.clone()
    cropped[:half] = crop_to(pictures[:half], windows[:half])
    return cropped, windows


def diff_augment(pictures: Tensor, changes: Sequence[str]) -> Tensor:
    """Change each picture at random, in a way through which gradients pass.

    Parameters
    ----------
    pictures
        (B, 3, S, S) in -1..1.
    changes
        Names of :data:`CHANGES`, in the order in which they are applied; none changes nothing.
    """
    for name in changes:
        pictures = CHANGES[name](pictures)
    return pictures


def brightness(pictures: Tensor) -> Tensor:
    """Lighter or darker by up to 0.5."""
    return pictures + _uniform(pictures) - 0.5


def saturation(pictures: Tensor) -> Tensor:
    """From grey to twice as colourful."""
    grey = pictures.mean(dim=1, keepdim=True)
    return (pictures - grey) * (2 * _uniform(pictures)) + grey


def contrast(pictures: Tensor) -> Tensor:
    """From half the contrast to one and a half times."""
    mean = pictures.mean(dim=(1, 2, 3), keepdim=True)
    return (pictures - mean) * (0.5 + _uniform(pictures)) + mean


def translation(pictures: Tensor) -> Tensor:
    """Moved by up to an eighth of the side each way; what moves in mirrors the edge.

    Where black moved in, generators drew its frame: the critic cannot distinguish it from a shift.
    """
    batch, _, side, _ = pictures.shape
    most = max(1, round(side / 8))
    moves = [torch.randint(-most, most + 1, (batch, 1), device=pictures.device) for _ in range(2)]
    cells = torch.arange(side, device=pictures.device)
    down, across = (side - 1 - (side - 1 - (cells + move).abs()).abs() for move in moves)  # (B, S) each
    rows = torch.arange(batch, device=pictures.device)
    return pictures[rows[:, None, None], :, down[:, :, None], across[:, None, :]].permute(0, 3, 1, 2)


def cutout(pictures: Tensor) -> Tensor:
    """A grey square of half the side, anywhere; at the edges part of it lies outside."""
    batch, _, side, _ = pictures.shape
    corners = [torch.randint(-(side // 4), side - side // 4 + 1, (batch, 1), device=pictures.device) for _ in range(2)]
    cells = torch.arange(side, device=pictures.device)
    down, across = ((cells >= corner) & (cells < corner + side // 2) for corner in corners)  # (B, S) each
    return pictures.masked_fill((down[:, :, None] & across[:, None, :])[:, None], 0.0)


CHANGES = {change.__name__: change for change in (brightness, saturation, contrast, translation, cutout)}


def _uniform(pictures: Tensor) -> Tensor:
    """A number in 0..1 for each picture."""
    return torch.rand(len(pictures), 1, 1, 1, device=pictures.device)
