"""A class-conditional convolutional variational autoencoder: residual blocks with group normalisation.

Large pictures are first cut into patches (space to depth), which keeps the costly fine grids small; the decoder
undoes this at the end.
"""

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diptych.synthesis.networks.blocks import LabelEmbedding, ResidualBlock, grid_sides, group_norm, upsample


def _widths(levels: int, width: int) -> list[int]:
    """Channels from the finest grid to the coarsest: doubled per level, up to four times the width."""
    return [width * min(2**level, 4) for level in range(levels)]


def choose_patch_side(size: int) -> int:
    """The patch side, in pixels, for pictures of ``size`` pixels a side."""
    return 1 if size <= 16 else 2 if size <= 32 else 4


class Encoder(nn.Module):
    """Pictures (B, 3, size, size) and labels (B,) to the mean and log variance of their latents, (B, latent) each."""

    def __init__(self, *, size: int, classes: int, latent: int, width: int, patch: int) -> None:
        super().__init__()
        self.patch = patch
        sides = grid_sides(size // patch)
        widths = _widths(len(sides), width)
        self.first = nn.Conv2d(3 * patch**2, widths[0], 3, padding=1)
        self.label = LabelEmbedding(classes, widths[-1]) if classes else None
        self.blocks = nn.ModuleList(ResidualBlock(channels, channels) for channels in widths)
        pairs = list(itertools.pairwise(widths))
        self.downs = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairs)
        self.last = ResidualBlock(widths[-1], widths[-1], widths[-1] if classes else 0)
        self.norm = group_norm(widths[-1])
        self.latents = nn.Linear(widths[-1] * sides[-1] ** 2, 2 * latent)

    def forward(self, pictures: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Encode pictures."""
        features = self.first(F.pixel_unshuffle(pictures, self.patch))
        for block, down in zip(self.blocks, self.downs, strict=False):
            features = down(block(features))
        code = None if self.label is None else self.label(labels)
        features = F.silu(self.norm(self.last(self.blocks[-1](features), code)))
        mean, log_variance = self.latents(features.flatten(1)).float().chunk(2, dim=1)
        return mean, log_variance.clamp(-12, 6)


class Decoder(nn.Module):
    """Latents (B, latent) and labels (B,) to pictures (B, 3, size, size), about -1..1.

    The latents are projected to the coarsest grid; together with the class they also scale and shift every block.
    """

    def __init__(self, *, size: int, classes: int, latent: int, width: int, patch: int) -> None:
        super().__init__()
        self.patch, self.latent = patch, latent
        self.sides = grid_sides(size // patch)[::-1]
        widths = _widths(len(self.sides), width)[::-1]
        self.label = LabelEmbedding(classes, latent) if classes else None
        code = latent * (2 if classes else 1)
        self.base = nn.Linear(code, widths[0] * self.sides[0] ** 2)
        self.first = ResidualBlock(widths[0], widths[0], code)
        sources = [widths[0], *widths[:-1]]
        self.blocks = nn.ModuleList(ResidualBlock(a, b, code) for a, b in zip(sources, widths, strict=True))
        self.norm = group_norm(widths[-1])
        self.picture = nn.Conv2d(widths[-1], 3 * patch**2, 3, padding=1)

    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
        """Decode latents."""
        code = latents if self.label is None else torch.cat([latents, self.label(labels)], dim=1)
        features = self.base(code).reshape(len(latents), -1, self.sides[0], self.sides[0])
        features = self.first(features, code)
        for block, side in zip(self.blocks, self.sides, strict=True):
            features = block(upsample(features, side), code)
        patches = self.picture(F.silu(self.norm(features)))
        return F.pixel_shuffle(patches, self.patch)
