"""More out of few pictures: random changes, so that nothing is learnt by heart.

For critics they are differentiable, and the same on real and made pictures (Zhao et al. 2020, "Differentiable
augmentation for data-efficient GAN training"): the generator is trained through them, so it learns pictures and not
changed pictures, and the critic never sees a picture twice the same.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from diptych.data.transforms import crop_to, random_windows

FEW, VERY_FEW = 20_000, 1000  # pictures to learn from
SMALL_SIZE = 16  # px: no room for shifts, and learnt before the critic has learnt it by heart
SMALLEST_WINDOW = 0.5  # of a picture's area
MILD = ("brightness", "contrast", "translation")


def augmentations_for(pictures: int, size: int) -> tuple[str, ...]:
    """The changes that so many pictures of ``size`` px a side call for; none where there are many.

    With very few the critic is given all of them; with some thousands saturation and cutout cost more than they bring.
    """
    if size <= SMALL_SIZE or pictures >= FEW:
        return ()
    return MILD if pictures >= VERY_FEW else tuple(CHANGES)


def crop_for(pictures: int, size: int) -> float:
    """The smallest share of a picture's area that an autoencoder is shown, of so many pictures of ``size`` px a side.

    Of few pictures it soon decodes those that it has seen better and all others worse; of cut-outs there is no end.
    What it makes is not cut out for that: the latents that it draws from are those of whole pictures.
    """
    return 0.6 if is_few(pictures, size) else 1.0


def is_few(pictures: int, size: int) -> bool:
    """Whether a network of some million parameters would soon know so many pictures of ``size`` px a side by heart."""
    return size > SMALL_SIZE and pictures < FEW


def crop_half(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Of the first half of a batch only a part, and for each picture what a network may be told of it.

    A network that is told learns from the parts, of which there is no end, and still makes whole pictures
    (Karras et al. 2022, "Elucidating the design space", appendix F.2).

    Parameters
    ----------
    pictures
        (B, 3, S, S) in -1..1, in an order that means nothing.

    Returns
    -------
    (B, 3, S, S) pictures, and (B, 4) windows as :func:`diptych.data.transforms.random_windows` has them.
    """
    half = len(pictures) // 2
    windows = torch.zeros(len(pictures), 4, device=pictures.device)
    windows[:, :2] = 1.0  # the whole
    if not half:
        return pictures, windows
    windows[:half] = random_windows(half, SMALLEST_WINDOW, pictures.device)
    shown = pictures.clone()
    shown[:half] = crop_to(pictures[:half], windows[:half])
    return shown, windows


def diff_augment(pictures: Tensor, parts: Sequence[str]) -> Tensor:
    """Change each picture at random, in a way through which gradients pass.

    Parameters
    ----------
    pictures
        (B, 3, S, S) in -1..1.
    parts
        Names of :data:`CHANGES`, in the order in which they are made; nothing is changed where there are none.
    """
    for name in parts:
        pictures = CHANGES[name](pictures)
    return pictures


def brightness(pictures: Tensor) -> Tensor:
    """Lighter or darker by up to 0.5."""
    return pictures + _coins(pictures) - 0.5


def saturation(pictures: Tensor) -> Tensor:
    """From grey to twice as colourful."""
    grey = pictures.mean(dim=1, keepdim=True)
    return (pictures - grey) * (2 * _coins(pictures)) + grey


def contrast(pictures: Tensor) -> Tensor:
    """From half the contrast to one and a half times."""
    mean = pictures.mean(dim=(1, 2, 3), keepdim=True)
    return (pictures - mean) * (0.5 + _coins(pictures)) + mean


def translation(pictures: Tensor) -> Tensor:
    """Moved by up to an eighth of the side each way; what moves in mirrors the edge.

    Where black moved in, generators drew its frame: the critic cannot tell it from a shift.
    """
    batch, _, side, _ = pictures.shape
    most = max(1, round(side / 8))
    moves = torch.randint(-most, most + 1, (2, batch, 1), device=pictures.device)
    cells = torch.arange(side, device=pictures.device)
    down, across = (side - 1 - (side - 1 - (cells + move).abs()).abs() for move in moves)  # (B, S) each
    which = torch.arange(batch, device=pictures.device)
    return pictures[which[:, None, None], :, down[:, :, None], across[:, None, :]].permute(0, 3, 1, 2)


def cutout(pictures: Tensor) -> Tensor:
    """A grey square of half the side, anywhere; at the edges part of it lies outside."""
    batch, _, side, _ = pictures.shape
    corners = torch.randint(-(side // 4), side - side // 4 + 1, (2, batch, 1), device=pictures.device)
    cells = torch.arange(side, device=pictures.device)
    down, across = ((cells >= corner) & (cells < corner + side // 2) for corner in corners)  # (B, S) each
    return pictures.masked_fill((down[:, :, None] & across[:, None, :])[:, None], 0.0)


CHANGES = {change.__name__: change for change in (brightness, saturation, contrast, translation, cutout)}


def _coins(pictures: Tensor) -> Tensor:
    """A number in 0..1 for each picture."""
    return torch.rand(len(pictures), 1, 1, 1, device=pictures.device)
