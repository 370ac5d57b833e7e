"""Joining known and generated parts of a picture: exact known pixels, and seams that do not show."""

import torch
from torch import Tensor
from torch.nn import functional as F

TOLERANCE = 1e-3  # of the range -1..1: an eighth of a grey level; smaller changes end the relaxation


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
