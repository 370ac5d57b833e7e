"""DCGAN (Radford et al. 2015) at any size, on class: an all-convolutional generator and critic.

What differs from 2015, so that it trains on a few hundred pictures: no batch normalisation on either side
(the generator normalises each cell over its channels, so a picture never depends on its batch); grids are
enlarged and then convolved, since transposed convolutions leave a chequerboard (Odena et al. 2016); labels enter
the critic by projection (Miyato & Koyama 2018). Large pictures are made and read in patches (space to depth), so
that no convolution runs over every pixel.
"""

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diptych.synthesis.networks.blocks import LabelEmbedding, enlarge, grids


def _widths(levels: int, width: int) -> list[int]:
    """Channels from the finest grid to the coarsest: doubling, up to four times the width."""
    return [width * min(2**level, 4) for level in range(levels)]


def _unit(features: Tensor) -> Tensor:
    """Scale the channels of every cell to a mean square of one (Karras et al. 2018, section 4.2)."""
    return features * torch.rsqrt(features.float().square().mean(dim=1, keepdim=True) + 1e-6).to(features.dtype)


class Generator(nn.Module):
    """Noise (B, latent) and labels (B,) to pictures (B, 3, size, size) in -1..1.

    The code, noise and class together, makes the coarsest grid and then scales and shifts every layer: where it
    entered only at the bottom, the generator of large pictures learnt to ignore the noise. ``classes=0`` makes it
    unconditional.
    """

    def __init__(self, *, size: int, classes: int, latent: int = 64, width: int = 32, patch: int = 1) -> None:
        super().__init__()
        self.latent, self.patch, self.sides = latent, patch, grids(size // patch)[::-1]
        widths = _widths(len(self.sides), width)[::-1]
        self.label = LabelEmbedding(classes, latent) if classes else None
        code = latent * (2 if classes else 1)
        self.base = nn.Linear(code, widths[0] * self.sides[0] ** 2)
        pairs = [(widths[0], widths[0]), *itertools.pairwise(widths), (widths[-1], widths[-1])]
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairs)
        self.codes = nn.ModuleList(nn.Linear(code, 2 * b) for _, b in pairs)
        self.picture = nn.Conv2d(widths[-1], 3 * patch**2, 3, padding=1)

    def forward(self, noise: Tensor, labels: Tensor) -> Tensor:
        """Make pictures."""
        code = noise if self.label is None else torch.cat([noise, _unit(self.label(labels))], dim=1)
        features = _unit(self.base(code).reshape(len(noise), -1, self.sides[0], self.sides[0]))
        for conv, scale_shift, side in zip(self.convs, self.codes, [*self.sides, self.sides[-1]], strict=True):
            features = _unit(F.leaky_relu(conv(enlarge(features, side)), 0.2))
            scale, shift = scale_shift(code)[:, :, None, None].chunk(2, dim=1)
            features = features * (1 + scale) + shift
        return torch.tanh(F.pixel_shuffle(self.picture(features), self.patch))


class Critic(nn.Module):
    """Pictures (B, 3, size, size) in -1..1 and labels (B,) to one logit each: above 0 is "real"."""

    def __init__(self, *, size: int, classes: int, width: int = 32, patch: int = 1) -> None:
        super().__init__()
        self.patch = patch
        sides = grids(size // patch)
        widths = _widths(len(sides), width)
        self.first = nn.Conv2d(3 * patch**2, widths[0], 3, padding=1)
        pairs = list(itertools.pairwise(widths))
        self.downs = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairs)
        self.features = nn.Linear(widths[-1] * sides[-1] ** 2, 4 * width)
        self.verdict = nn.Linear(4 * width, 1)
        self.label = LabelEmbedding(classes, 4 * width) if classes else None

    def forward(self, pictures: Tensor, labels: Tensor) -> Tensor:
        """Judge pictures."""
        features = F.leaky_relu(self.first(F.pixel_unshuffle(pictures, self.patch)), 0.2)
        for down in self.downs:
            features = F.leaky_relu(down(features), 0.2)
        inner = F.leaky_relu(self.features(features.flatten(1)), 0.2)
        verdict: Tensor = self.verdict(inner)[:, 0]
        if self.label is not None:
            verdict = verdict + (inner * self.label(labels)).sum(dim=1) / inner.shape[1] ** 0.5
        return verdict
