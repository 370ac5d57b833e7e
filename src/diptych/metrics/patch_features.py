"""Features of the patches in pictures: how often, how strongly and where the patches of a set occur.

One convolution layer whose filters are patches of the pictures themselves, whitened (Coates, Ng & Lee 2011, "An
analysis of single-layer networks in unsupervised feature learning", section 3; random filters do nearly as well there
as learned ones), at several scales, then the positive and the negative activations, averaged over the quarters of the
picture. Nothing is trained and nothing is downloaded: a second of work, the same for the same pictures and seed.

Suited to following one run, or to comparing models of one set of pictures: distances of these features respond to blur,
noise, colours, missing kinds of pictures, and parts that do not belong together. They do not represent what a picture
shows, and each set has its own filters, so they say nothing across sets: for a verdict take a trained network's
features.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

PATCH_SIDE = 5  # pixels
FILTERS_PER_SCALE = 64
SAMPLED_PATCHES = 8192  # from which the whitening is computed
MIN_SIDE = 8  # pixels, of the coarsest scale
MAX_POSITIONS = 16  # a side, at which the filters are evaluated
ACTIVATION_THRESHOLD = 0.25  # in standard deviations; smaller activations count as none
_BATCH = 256
_WHITENING_FLOOR = 0.03  # of the mean variance, added before whitening, so that rounding does not count as detail


@dataclass(frozen=True)
class _Scale:
    """Filters (K, 3, 5, 5) and biases (K,) for pictures of ``side`` pixels."""

    side: int
    filters: Tensor
    biases: Tensor

    def __call__(self, pictures: Tensor) -> Tensor:
        """(N, 3, S, S) to (N, 8 * K)."""
        small = F.adaptive_avg_pool2d(pictures, self.side)
        responses = F.conv2d(small, self.filters, self.biases, stride=max(1, self.side // MAX_POSITIONS))
        activations = torch.cat(
            [F.relu(responses - ACTIVATION_THRESHOLD), F.relu(-responses - ACTIVATION_THRESHOLD)], dim=1
        )
        return F.adaptive_avg_pool2d(activations, 2).flatten(1)


class PatchFeatures:
    """Turns pictures into features (N, D), with filters from patches of reference pictures.

    Parameters
    ----------
    pictures
        (N, 3, S, S) uint8, whose patches and standard deviations set the filters and units; a few hundred or more.
    seed
        Of the sampled patches.
    """

    def __init__(self, pictures: Tensor, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        side = pictures.shape[-1]
        sides = [side >> i for i in range(8) if side >> i >= MIN_SIDE] or [side]
        self._scales = [_scale(pictures, s, generator) for s in sides]
        self._mean, self._deviation = torch.zeros(()), torch.ones(())
        features = self(pictures)
        self._mean, deviation = features.mean(0), features.std(0)
        self._deviation = deviation.clamp(min=1e-3 * float(deviation.mean()) + 1e-9)

    def __call__(self, pictures: Tensor) -> Tensor:
        """(N, 3, S, S) uint8 to (N, D) float32, each of mean 0 and deviation 1 over the reference pictures."""
        parts = []
        for batch in torch.split(pictures, _BATCH):
            scaled = _unit(batch)
            parts.append(torch.cat([scale(scaled) for scale in self._scales], dim=1))
        return (torch.cat(parts) - self._mean) / self._deviation


def _unit(pictures: Tensor) -> Tensor:
    return pictures.float() / 127.5 - 1


def _scale(pictures: Tensor, side: int, generator: torch.Generator) -> _Scale:
    """Filters from randomly sampled patches, whitened by the covariance of all sampled patches."""
    patch = min(PATCH_SIDE, side)
    rows = torch.randint(0, len(pictures), (SAMPLED_PATCHES,), generator=generator)
    corners = torch.randint(0, side - patch + 1, (2, SAMPLED_PATCHES), generator=generator)
    small = torch.cat([F.adaptive_avg_pool2d(_unit(batch), side) for batch in torch.split(pictures, _BATCH)])
    down, across = (corner[:, None] + torch.arange(patch) for corner in corners)
    patches = small[rows[:, None, None], :, down[:, :, None], across[:, None, :]]
    patches = patches.permute(0, 3, 1, 2).flatten(1).double()
    mean = patches.mean(0)
    values, axes = torch.linalg.eigh((patches - mean).T @ (patches - mean) / len(patches))
    whitening = axes @ torch.diag((values + _WHITENING_FLOOR * values.mean() + 1e-9).rsqrt()) @ axes.T
    chosen = torch.randperm(SAMPLED_PATCHES, generator=generator)[:FILTERS_PER_SCALE]
    filters = F.normalize((patches[chosen] - mean) @ whitening, dim=1) @ whitening
    return _Scale(side, filters.float().view(-1, 3, patch, patch), -(filters @ mean).float())
