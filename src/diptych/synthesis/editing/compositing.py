"""Where the given part of a picture meets the made one: masks, exact known pixels, and seams that do not show."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from diptych.data.images import Images
from diptych.errors import DataError, UsageError
from diptych.synthesis.datasets import GEOMETRY

TOUCHED = 25  # of 255: a pixel that a mask covers by a tenth is no longer a known one
CONVERGED = 1e-3  # of the range -1..1: an eighth of a grey level


def hole_masks(mask: Images | np.ndarray, images: Images, size: int) -> Tensor:
    """Where a mask is white, as the model sees it: (N, 1, S, S) bool, for N pictures.

    Parameters
    ----------
    mask
        One for all pictures, or one each: pictures, white where something is to be made; or an array (H, W) or
        (N, H, W) of bool. Each has its picture's own width and height, or ``size`` pixels a side.

    Raises
    ------
    UsageError
        A mask has another size, or there are neither one nor as many as pictures.
    """
    masks = mask if isinstance(mask, Images) else _of_array(mask)
    if len(masks) not in (1, len(images)):
        raise UsageError(f"{len(images)} pictures need one mask, or as many, not {len(masks)}.")
    rows = np.zeros(len(images), np.int64) if len(masks) == 1 else np.arange(len(images))
    white = masks.pixels(size, GEOMETRY).float().mean(dim=1, keepdim=True) > TOUCHED
    for i, (own, given) in enumerate(zip(images.dimensions(), masks.dimensions()[rows], strict=True)):
        if tuple(given) not in (tuple(own), (size, size)):
            raise UsageError(
                f"The mask {masks.paths[rows[i]]} has {given[0]} × {given[1]} pixels, but {images.paths[i]} has "
                f"{own[0]} × {own[1]}. Draw the mask over the picture itself, or make it {size} × {size}."
            )
    return white[torch.from_numpy(rows)]


def _of_array(mask: np.ndarray) -> Images:
    shown = np.asarray(mask)
    if shown.ndim not in (2, 3) or shown.dtype != np.bool_:
        raise UsageError(f"A mask is an array (H, W) or (N, H, W) of bool, not {shown.shape} of {shown.dtype}.")
    shown = shown[None] if shown.ndim == 2 else shown
    try:
        return Images.from_arrays(shown.astype(np.uint8) * 255, paths=[f"#{i}" for i in range(len(shown))])
    except DataError as error:
        raise UsageError(str(error)) from error


def compose(made: Tensor, given: Tensor, hole: Tensor) -> Tensor:
    """Put what is made into the hole of what is given, whose other pixels stay exactly as they are.

    The made part is shifted in colour by a membrane: the smoothest field that, on the hole's border, is what the
    two differ by (Pérez et al. 2003, "Poisson image editing", equations 2 and 4 with the made part's gradient). So no
    seam shows where the model has missed the light of the picture.

    Parameters
    ----------
    made, given
        (N, 3, S, S) in -1..1.
    hole
        (N, 1, S, S) bool, True where the picture is to be made.
    """
    inside = hole.to(made.dtype)
    difference = (given - made) * (1 - inside)
    field = _coarse_fill(difference, 1 - inside)
    for _ in range(4 * made.shape[-1]):
        smoothed = difference + inside * _mean_of_neighbours(field)
        moved = float((smoothed - field).abs().max())
        field = smoothed
        if moved < CONVERGED:
            break
    # A hole without a border has nothing to agree with.
    bordered = (~hole).flatten(1).any(dim=1)[:, None, None, None]
    return torch.where(hole, (made + field * bordered).clamp(-1, 1), given)


def _mean_of_neighbours(field: Tensor) -> Tensor:
    """The mean of the four neighbours; beyond the edge the field goes on as it is there."""
    wide = F.pad(field, (1, 1, 1, 1), mode="replicate")
    return (wide[..., 1:-1, :-2] + wide[..., 1:-1, 2:] + wide[..., :-2, 1:-1] + wide[..., 2:, 1:-1]) / 4


def _coarse_fill(field: Tensor, known: Tensor) -> Tensor:
    """Fill what is not known from the mean of what is, coarse to fine: a start near the membrane."""
    if field.shape[-1] <= 1 or bool(known.all()):
        return field
    weight = F.avg_pool2d(known, 2, ceil_mode=True)
    mean = F.avg_pool2d(field * known, 2, ceil_mode=True) / weight.clamp(min=1e-6)
    coarse = _coarse_fill(mean * (weight > 0), (weight > 0).to(field.dtype))
    above = F.interpolate(coarse, scale_factor=2.0, mode="nearest")[..., : field.shape[-2], : field.shape[-1]]
    return torch.where(known > 0, field, above)


def multiband_blend(first: Tensor, second: Tensor, share: Tensor) -> Tensor:
    """The second picture where ``share`` is 1, the first where it is 0, each band of detail blended over its own width.

    The Laplacian pyramid of Burt & Adelson 1983, "A multiresolution spline": coarse bands, which carry the light,
    meet over a wide seam, and fine ones over a narrow one, so that nothing is doubled and no edge shows.

    Parameters
    ----------
    first, second
        (N, 3, S, S) in -1..1.
    share
        (N, 1, S, S) in 0..1.
    """
    if first.shape[-1] < 8:
        return (1 - share) * first + share * second
    low = [_halved(x) for x in (first, second, share)]
    fine = [x - _doubled(small, x.shape[-1]) for x, small in zip((first, second), low, strict=False)]
    band = (1 - share) * fine[0] + share * fine[1]
    return band + _doubled(multiband_blend(*low), first.shape[-1])


def _halved(x: Tensor) -> Tensor:
    """Blurred by the binomial kernel of five taps, and every second cell of it."""
    taps = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0], dtype=x.dtype, device=x.device) / 16
    kernel = torch.outer(taps, taps).expand(x.shape[1], 1, 5, 5)
    return F.conv2d(F.pad(x, (2, 2, 2, 2), mode="reflect"), kernel, stride=2, groups=x.shape[1])


def _doubled(x: Tensor, side: int) -> Tensor:
    return F.interpolate(x, size=(side, side), mode="bilinear", align_corners=False)
