"""The classic DCGAN: Radford et al. 2016, "Unsupervised representation learning with deep convolutional GANs".

Noise is projected to a 4 × 4 grid and upsampled by transposed 5 × 5 convolutions of stride 2, each with half the
channels of the previous one; the critic mirrors the generator. Batch normalisation everywhere but at the generator's
output and the critic's input; ReLU and tanh in the generator, leaky ReLU in the critic. Added to the paper: any size
that is a multiple of 4 (odd grids are rounded up), and classes, concatenated to the noise as a vector and by projection
in the critic (Miyato & Koyama 2018).
"""

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diptych.synthesis.networks.blocks import LabelEmbedding, grid_sides

MAX_MULTIPLE = 8  # channels of the coarsest grid, in multiples of the finest grid's


class ClassicGenerator(nn.Module):
    """Noise (B, latent) and labels (B,) to pictures (B, 3, size, size) in -1..1."""

    def __init__(self, *, size: int, classes: int, latent: int = 100, width: int = 64) -> None:
        super().__init__()
        self.sides = grid_sides(size)[::-1]
        widths = _widths(len(self.sides) - 1, width)[::-1]
        self.label = LabelEmbedding(classes, latent) if classes else None
        self.base = nn.Linear(latent * (2 if classes else 1), widths[0] * self.sides[0] ** 2, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for channels in widths)
        pairs = itertools.pairwise([*widths, 3])
        self.ups = nn.ModuleList(nn.ConvTranspose2d(a, b, 5, stride=2, padding=2, bias=b == 3) for a, b in pairs)
        self.apply(_initialise)

    def forward(self, noise: Tensor, labels: Tensor) -> Tensor:
        """Generate pictures."""
        code = noise if self.label is None else torch.cat([noise, self.label(labels)], dim=1)
        features = self.base(code).reshape(len(noise), -1, self.sides[0], self.sides[0])
        for norm, up, side in zip(self.norms, self.ups, self.sides[1:], strict=True):
            features = up(F.relu(norm(features)), output_size=[side, side])
        return torch.tanh(features)


class ClassicCritic(nn.Module):
    """Pictures (B, 3, size, size) in -1..1 and labels (B,) to one logit each: above 0 is "real"."""

    def __init__(self, *, size: int, classes: int, width: int = 64) -> None:
        super().__init__()
        sides = grid_sides(size)
        widths = _widths(len(sides) - 1, width)
        pairs = itertools.pairwise([3, *widths])
        self.downs = nn.ModuleList(nn.Conv2d(a, b, 5, stride=2, padding=2, bias=a == 3) for a, b in pairs)
        norms = [nn.BatchNorm2d(channels) for channels in widths[1:]]
        self.norms = nn.ModuleList([nn.Identity(), *norms])
        self.verdict = nn.Linear(widths[-1] * sides[-1] ** 2, 1)
        self.label = LabelEmbedding(classes, widths[-1]) if classes else None
        self.apply(_initialise)

    def forward(self, pictures: Tensor, labels: Tensor) -> Tensor:
        """Score pictures."""
        features = pictures
        for down, norm in zip(self.downs, self.norms, strict=True):
            features = F.leaky_relu(norm(down(features)), 0.2)
        verdict: Tensor = self.verdict(features.flatten(1))[:, 0]
        if self.label is not None:
            verdict = verdict + (features.mean(dim=(2, 3)) * self.label(labels)).sum(dim=1)
        return verdict


def _widths(inner_grids: int, width: int) -> list[int]:
    """Channels from the finest inner grid to the coarsest."""
    return [width * min(2**level, MAX_MULTIPLE) for level in range(inner_grids)]


def _initialise(module: nn.Module) -> None:
    """Weights of standard deviation 0.02, as in the paper; those of batch normalisation around 1."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, mean=1.0, std=0.02)
