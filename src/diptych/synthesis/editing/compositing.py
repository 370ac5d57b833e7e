"""Joining known and generated parts of a picture: masks, exact known pixels, and seams that do not show."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from diptych.data.images import Images, ImagesLike
from diptych.errors import DataError, UsageError
from diptych.synthesis.datasets import GEOMETRY

MASK_THRESHOLD = 25  # of 255: a pixel that a mask covers by a tenth no longer counts as known
TOLERANCE = 1e-3  # of the range -1..1: an eighth of a grey level; smaller changes end the relaxation


def hole_masks(mask: ImagesLike, images: Images, size: int) -> Tensor:
    """The white part of masks at the model's geometry: (N, 1, S, S) bool for N pictures.

    Parameters
    ----------
    mask
        One for all pictures, or one each: pictures, white where something is to be generated; or an array (H, W) or
        (N, H, W) of bool. Each has its picture's own width and height, or ``size`` pixels a side.

    Raises
    ------
    UsageError
        A mask has another size, or there are neither one nor as many as pictures.
    """
    masks = _masks_from_array(mask) if isinstance(mask, np.ndarray) else Images.of(mask)
    if len(masks) not in (1, len(images)):
        raise UsageError(
            f"Give one mask, or one for each picture: there are {len(images)} pictures and {len(masks)} masks."
        )
    rows = np.zeros(len(images), np.int64) if len(masks) == 1 else np.arange(len(images))
    white = masks.pixels(size, GEOMETRY).float().mean(dim=1, keepdim=True) > MASK_THRESHOLD
    for i, (own, mask_size) in enumerate(zip(images.dimensions(), masks.dimensions()[rows], strict=True)):
        if tuple(mask_size) not in (tuple(own), (size, size)):
            raise UsageError(
                f"The mask {masks.paths[rows[i]]} has {mask_size[0]} × {mask_size[1]} pixels, but {images.paths[i]} "
                f"has {own[0]} × {own[1]}. Draw the mask over the picture itself, or make it {size} × {size}."
            )
    return white[torch.from_numpy(rows)]


def _masks_from_array(mask: np.ndarray) -> Images:
    array = np.asarray(mask)
    if array.ndim not in (2, 3) or array.dtype != np.bool_:
        raise UsageError(f"A mask is an array (H, W) or (N, H, W) of bool, not {array.shape} of {array.dtype}.")
    array = array[None] if array.ndim == 2 else array
    try:
        return Images.from_arrays(array.astype(np.uint8) * 255, paths=[f"#{i}" for i in range(len(array))])
    except DataError as error:
        raise UsageError(str(error)) from error


def compose(generated: Tensor, original: Tensor, hole: Tensor) -> Tensor:
    """Fill the hole of the original with generated content; all other pixels stay exactly as they are.

    The generated content is shifted in colour by a membrane: the smoothest field that equals the difference of the two
    on the hole's border (Pérez et al. 2003, "Poisson image editing", equations 2 and 4 with the gradient of the
    generated content). So no seam shows where the model misses the lighting of the picture.

    Parameters
    ----------
    generated, original
        (N, 3, S, S) in -1..1.
    hole
        (N, 1, S, S) bool, True where the picture is to be generated.
    """
    inside = hole.to(generated.dtype)
    difference = (original - generated) * (1 - inside)
    field = _coarse_fill(difference, 1 - inside)
    for _ in range(4 * generated.shape[-1]):
        smoothed = difference + inside * _mean_of_neighbours(field)
        change = float((smoothed - field).abs().max())
        field = smoothed
        if change < TOLERANCE:
            break
    # A hole that covers the whole picture has no border to match.
    has_border = (~hole).flatten(1).any(dim=1)[:, None, None, None]
    return torch.where(hole, (generated + field * has_border).clamp(-1, 1), original)


def _mean_of_neighbours(field: Tensor) -> Tensor:
    """The mean of the four neighbours; the border's values are repeated beyond the edge."""
    padded = F.pad(field, (1, 1, 1, 1), mode="replicate")
    return (padded[..., 1:-1, :-2] + padded[..., 1:-1, 2:] + padded[..., :-2, 1:-1] + padded[..., 2:, 1:-1]) / 4


def _coarse_fill(field: Tensor, known: Tensor) -> Tensor:
    """Fill unknown cells from the mean of known ones, coarse to fine: a start near the membrane."""
    if field.shape[-1] <= 1 or bool(known.all()):
        return field
    weight = F.avg_pool2d(known, 2, ceil_mode=True)
    mean = F.avg_pool2d(field * known, 2, ceil_mode=True) / weight.clamp(min=1e-6)
    coarse = _coarse_fill(mean * (weight > 0), (weight > 0).to(field.dtype))
    upsampled = F.interpolate(coarse, scale_factor=2.0, mode="nearest")[..., : field.shape[-2], : field.shape[-1]]
    return torch.where(known > 0, field, upsampled)


def multiband_blend(first: Tensor, second: Tensor, weight: Tensor) -> Tensor:
    """The second picture where ``weight`` is 1, the first where it is 0, each band blended over its own width.

    The Laplacian pyramid of Burt & Adelson 1983, "A multiresolution spline": coarse bands, which carry the lighting,
    are blended over a wide seam and fine ones over a narrow one, so that nothing is doubled and no edge shows.

    Parameters
    ----------
    first, second
        (N, 3, S, S) in -1..1.
    weight
        (N, 1, S, S) in 0..1.
    """
    if first.shape[-1] < 8:
        return (1 - weight) * first + weight * second
    low = [_downsample(x) for x in (first, second, weight)]
    fine = [x - _upsample(small, x.shape[-1]) for x, small in zip((first, second), low, strict=False)]
    band = (1 - weight) * fine[0] + weight * fine[1]
    return band + _upsample(multiband_blend(*low), first.shape[-1])


def _downsample(x: Tensor) -> Tensor:
    """Blur by the binomial kernel of five taps and keep every second cell."""
    taps = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0], dtype=x.dtype, device=x.device) / 16
    kernel = torch.outer(taps, taps).expand(x.shape[1], 1, 5, 5)
    return F.conv2d(F.pad(x, (2, 2, 2, 2), mode="reflect"), kernel, stride=2, groups=x.shape[1])


def _upsample(x: Tensor, side: int) -> Tensor:
    return F.interpolate(x, size=(side, side), mode="bilinear", align_corners=False)
