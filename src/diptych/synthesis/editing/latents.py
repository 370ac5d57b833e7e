"""Operations on latents: inverting pictures, interpolating between latents, and finding directions of large change."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

INVERSION_STEPS, LEARNING_RATE = 150, 0.1  # of the optimiser that inverts a picture
SCALES = 3  # at which pictures are compared: full size, halved and halved again


def class_weights(labels: Tensor, classes: int) -> Tensor:
    """Labels (N,) as weights of the classes (N, classes + 1); the last column is "no label"."""
    return F.one_hot(torch.where(labels < 0, classes, labels), classes + 1).float()


def interpolate_latents(first: Tensor, second: Tensor, positions: Tensor, *, spherical: bool) -> Tensor:
    """Latents between two others: (N, D), (N, D), positions (T,) in 0..1 -> (N, T, D).

    Spherical: along the great circle, with the norm interpolated linearly (Shoemake 1985; White 2016, "Sampling
    generative networks", section 2.1). Normal noise of many dimensions lies near a sphere, and the middle of a chord is
    far shorter than anything that the model was trained on. Otherwise: along the straight line.
    """
    t = positions[None, :, None].to(first)
    a, b = first[:, None], second[:, None]
    between = _arc(a, b, t) if spherical else a + t * (b - a)
    return torch.where(t == 1, b, torch.where(t == 0, a, between))  # the ends are exact to the bit


def _arc(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    norm_a, norm_b = (x.norm(dim=2, keepdim=True).clamp(min=1e-8) for x in (a, b))
    angle = ((a / norm_a) * (b / norm_b)).sum(dim=2, keepdim=True).clamp(-1, 1).arccos()
    parallel = angle.sin().abs() < 1e-4  # the straight line is then the circle
    sine = torch.where(parallel, torch.ones_like(angle), angle.sin())
    direction = ((1 - t) * angle).sin() / sine * (a / norm_a) + (t * angle).sin() / sine * (b / norm_b)
    arc = direction * (norm_a + t * (norm_b - norm_a))
    return torch.where(parallel, a + t * (b - a), arc)


def invert(
    decode: Callable[[Tensor], Tensor], target: Tensor, pixel_weights: Tensor, starts: Tensor, sigma: float = 0.0
) -> Tensor:
    """The latents (B, D) whose pictures are nearest to the targets at the weighted pixels, by gradient descent.

    Inversion by optimisation (Zhu et al. 2016, "Generative visual manipulation", section 3.1); for a part of the
    picture, Yeh et al. 2017, "Semantic image inpainting". The error is measured at several scales, so that the lighting
    is matched before the edges. Of several starts the one with the smallest final error is taken, for each picture by
    itself.

    Parameters
    ----------
    decode
        Latents (B, D) -> pictures (B, 3, S, S).
    target, pixel_weights
        (B, 3, S, S) in -1..1, and (B, 1, S, S) in 0..1: how much each pixel counts.
    starts
        (starts, B, D).
    sigma
        Standard deviation of a picture's values about the decoded ones; the prior N(0, I) then counts with its proper
        weight beside the error. 0: the latents are noise on a sphere, of which only the direction counts.
    """

    def project(latents: Tensor) -> Tensor:
        return latents if sigma else F.normalize(latents, dim=1) * latents.shape[1] ** 0.5

    best, least = starts[0], torch.full(starts[0].shape[:1], torch.inf, device=target.device)
    for start in starts:
        latents = start.clone().requires_grad_(True)
        optimizer = torch.optim.Adam([latents], lr=LEARNING_RATE, betas=(0.9, 0.99))
        for step in range(INVERSION_STEPS):
            optimizer.param_groups[0]["lr"] = LEARNING_RATE * min(1.0, 2 * (1 - step / INVERSION_STEPS))
            with torch.enable_grad():
                loss = _energy(decode(project(latents)), target, pixel_weights, latents, sigma)
                (gradient,) = torch.autograd.grad(loss.sum(), latents)
            latents.grad = gradient
            optimizer.step()
        final = project(latents.detach())
        energy = _energy(decode(final), target, pixel_weights, final, sigma)
        better = energy < least
        best = torch.where(better[:, None], final, best)
        least = torch.where(better, energy, least)
    return best


def multiscale_error(pictures: Tensor, target: Tensor, pixel_weights: Tensor) -> Tensor:
    """Weighted mean squared error, averaged over scales: (B, 3, S, S) twice and (B, 1, S, S) -> (B,)."""
    total = torch.zeros(len(target), device=target.device)
    difference = (pictures - target) * pixel_weights
    for scale in range(SCALES):
        small = F.avg_pool2d(difference, 2**scale, ceil_mode=True)
        total = total + small.square().sum(dim=(1, 2, 3)) * 4**scale
    return total / (SCALES * 3 * pixel_weights.sum(dim=(1, 2, 3)).clamp(min=1))


def _energy(pictures: Tensor, target: Tensor, pixel_weights: Tensor, latents: Tensor, sigma: float) -> Tensor:
    error = multiscale_error(pictures, target, pixel_weights)
    if not sigma:
        return error
    return error * 3 * pixel_weights.sum(dim=(1, 2, 3)) / (2 * sigma**2) + 0.5 * latents.square().sum(dim=1)


def closest_pictures(pictures: Tensor, target: Tensor, pixel_weights: Tensor, count: int) -> Tensor:
    """The pictures of (M, 3, S, S) nearest to each target at the weighted pixels: (count, B) row numbers."""
    errors = torch.stack([multiscale_error(one.expand_as(target), target, pixel_weights) for one in pictures])  # (M, B)
    return errors.topk(count, dim=0, largest=False, sorted=True).indices


def principal_components(pictures: Tensor, count: int) -> Tensor:
    """The principal components of pictures (M, ...): their scores (count, M), of length 1, the largest first."""
    rows = pictures.flatten(1).double()
    rows = rows - rows.mean(dim=0)
    _, vectors = torch.linalg.eigh(rows @ rows.T)
    scores = vectors.flip(1)[:, :count].T
    # The sign of an eigenvector is arbitrary: its largest entry is made positive, so that it is the same everywhere.
    sign = scores.gather(1, scores.abs().argmax(dim=1, keepdim=True)).sign()
    signed: Tensor = (scores * sign).float()
    return signed


def orthonormal(rows: Tensor) -> Tensor:
    """Directions (K, D), each made orthogonal to the previous ones and of length 1, with its orientation."""
    basis, upper = torch.linalg.qr(rows.T)
    oriented: Tensor = (basis * upper.diagonal().sign()).T
    return oriented
