"""Ways through latent space: to the latent of a picture, between two, and along the directions that matter."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

STEPS, RATE = 150, 0.1  # of the optimiser
SCALES = 3  # at which pictures are compared: as they are, and halved twice


def class_weights(labels: Tensor, classes: int) -> Tensor:
    """Labels (N,) as shares of the classes (N, classes + 1); the last column is "no label"."""
    return F.one_hot(torch.where(labels < 0, classes, labels), classes + 1).float()


def interpolate_latents(first: Tensor, second: Tensor, way: Tensor, *, spherical: bool) -> Tensor:
    """Latents on the way from one to the other: (N, D), (N, D), (T,) in 0..1 -> (N, T, D).

    Spherical: along the great circle, the length going over evenly (Shoemake 1985; White 2016, "Sampling generative
    networks", section 2.1). Normal noise of many dimensions lies near a sphere, and the middle of a chord is far
    shorter than anything that the model was trained on. Else along the straight line.
    """
    share = way[None, :, None].to(first)
    a, b = first[:, None], second[:, None]
    way_between = _arc(a, b, share) if spherical else a + share * (b - a)
    return torch.where(share == 1, b, torch.where(share == 0, a, way_between))  # the ends to the bit


def _arc(a: Tensor, b: Tensor, share: Tensor) -> Tensor:
    long_a, long_b = (x.norm(dim=2, keepdim=True).clamp(min=1e-8) for x in (a, b))
    angle = ((a / long_a) * (b / long_b)).sum(dim=2, keepdim=True).clamp(-1, 1).arccos()
    near = angle.sin().abs() < 1e-4  # the same direction: the line is the circle
    sine = torch.where(near, torch.ones_like(angle), angle.sin())
    turned = ((1 - share) * angle).sin() / sine * (a / long_a) + (share * angle).sin() / sine * (b / long_b)
    arc = turned * (long_a + share * (long_b - long_a))
    return torch.where(near, a + share * (b - a), arc)


def invert(
    decode: Callable[[Tensor], Tensor], target: Tensor, seen: Tensor, starts: Tensor, sigma: float = 0.0
) -> Tensor:
    """The latents (B, D) whose pictures are nearest to the targets where they are seen, by gradient descent.

    Inversion by optimisation (Zhu et al. 2016, "Generative visual manipulation", section 3.1); for a part of the
    picture, Yeh et al. 2017, "Semantic image inpainting". The error is measured at several scales, so that the light is
    found before the edges. Of several starts the one that ends nearest is taken, for each picture by itself.

    Parameters
    ----------
    decode
        Latents (B, D) -> pictures (B, 3, S, S).
    target, seen
        (B, 3, S, S) in -1..1, and (B, 1, S, S) in 0..1: how much each pixel counts.
    starts
        (starts, B, D).
    sigma
        How far off a picture's values may be: the prior N(0, I) then counts as much as it should beside them. 0: the
        latents are noise on a sphere, of which only the direction counts.
    """

    def put(latents: Tensor) -> Tensor:
        return latents if sigma else F.normalize(latents, dim=1) * latents.shape[1] ** 0.5

    best, least = starts[0], torch.full(starts[0].shape[:1], torch.inf, device=target.device)
    for start in starts:
        latents = start.clone().requires_grad_(True)
        optimizer = torch.optim.Adam([latents], lr=RATE, betas=(0.9, 0.99))
        for step in range(STEPS):
            optimizer.param_groups[0]["lr"] = RATE * min(1.0, 2 * (1 - step / STEPS))
            with torch.enable_grad():
                loss = _energy(decode(put(latents)), target, seen, latents, sigma)
                (slope,) = torch.autograd.grad(loss.sum(), latents)
            latents.grad = slope
            optimizer.step()
        found = put(latents.detach())
        ended = _energy(decode(found), target, seen, found, sigma)
        better = ended < least
        best = torch.where(better[:, None], found, best)
        least = torch.where(better, ended, least)
    return best


def distance(pictures: Tensor, target: Tensor, seen: Tensor) -> Tensor:
    """Mean squared error of what is seen, averaged over scales: (B, 3, S, S) twice and (B, 1, S, S) -> (B,)."""
    total = torch.zeros(len(target), device=target.device)
    difference = (pictures - target) * seen
    for scale in range(SCALES):
        small = F.avg_pool2d(difference, 2**scale, ceil_mode=True)
        total = total + small.square().sum(dim=(1, 2, 3)) * 4**scale
    return total / (SCALES * 3 * seen.sum(dim=(1, 2, 3)).clamp(min=1))


def _energy(pictures: Tensor, target: Tensor, seen: Tensor, latents: Tensor, sigma: float) -> Tensor:
    error = distance(pictures, target, seen)
    if not sigma:
        return error
    return error * 3 * seen.sum(dim=(1, 2, 3)) / (2 * sigma**2) + 0.5 * latents.square().sum(dim=1)


def closest_pictures(pictures: Tensor, target: Tensor, seen: Tensor, count: int) -> Tensor:
    """Which of some pictures (M, 3, S, S) are nearest to each target where it is seen: (count, B) row numbers."""
    apart = torch.stack([distance(one.expand_as(target), target, seen) for one in pictures])  # (M, B)
    return apart.topk(count, dim=0, largest=False, sorted=True).indices


def principal_components(pictures: Tensor, count: int) -> Tensor:
    """The main ways in which pictures (M, ...) differ: their scores (count, M), of length 1, the largest first."""
    rows = pictures.flatten(1).double()
    rows = rows - rows.mean(dim=0)
    _, vectors = torch.linalg.eigh(rows @ rows.T)
    found = vectors.flip(1)[:, :count].T
    # An eigenvector has no sign of its own: the same one everywhere.
    sign = found.gather(1, found.abs().argmax(dim=1, keepdim=True)).sign()
    signed: Tensor = (found * sign).float()
    return signed


def orthonormal(rows: Tensor) -> Tensor:
    """Directions (K, D) made orthogonal to those before them, of length 1, their sense kept."""
    basis, upper = torch.linalg.qr(rows.T)
    kept: Tensor = (basis * upper.diagonal().sign()).T
    return kept
