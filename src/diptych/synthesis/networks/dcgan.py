"""DCGAN (Radford et al. 2015) at any size, on class: an all-convolutional generator and critic.

What differs from 2015, so that it trains on a few hundred pictures in minutes: no batch normalisation on either side
(the generator normalises each cell over its channels, so a picture never depends on its batch); the picture is the
sum of what every grid from the coarsest on adds to it (Karras et al. 2020, section 4.1), so that its layout is there
long before its details; grids are enlarged and then convolved, since transposed convolutions leave a chequerboard
(Odena et al. 2016); labels enter the critic by projection (Miyato & Koyama 2018), and it sees how much the pictures
of a batch differ (Karras et al. 2018, section 3), so that making one picture over and over is found out.
"""

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diptych.synthesis.networks.blocks import LabelEmbedding, enlarge, grids

CODE = 128  # length of what noise and class are mapped to
LARGEST_GRID = 32  # px: the last grid of a larger picture is enlarged at once; the critic reads patches from here on
COMPARED = 4  # neighbours in a batch, which the critic compares with each other


class Generator(nn.Module):
    """Noise (B, latent) and labels (B,) to pictures (B, 3, size, size) about -1..1.

    The code, which noise and class are mapped to, makes the coarsest grid and then scales and shifts every layer:
    where noise entered only at the bottom, the generator of large pictures learnt to ignore it. ``classes=0`` makes
    it unconditional.
    """

    def __init__(self, *, size: int, classes: int, latent: int = 64, width: int = 32) -> None:
        super().__init__()
        self.size = size
        self.sides = grids(size if size <= LARGEST_GRID else size // 2 if size <= 2 * LARGEST_GRID else size // 4)[::-1]
        widths = [round(width * min(4, 1.5 * 2**level)) for level in range(len(self.sides))][::-1]
        self.label = LabelEmbedding(classes, latent) if classes else None
        inputs = latent * (2 if classes else 1)
        self.code = nn.Sequential(nn.Linear(inputs, CODE), nn.LeakyReLU(0.2), nn.Linear(CODE, CODE), nn.LeakyReLU(0.2))
        self.base = nn.Linear(CODE, widths[0] * self.sides[0] ** 2)
        last = len(widths) - 1
        pairs = itertools.pairwise([widths[0], *widths])
        self.stages = nn.ModuleList(Stage(a, b, finest=level == last) for level, (a, b) in enumerate(pairs))
        self.pictures = nn.ModuleList(_picture(b, finest=level == last) for level, b in enumerate(widths))

    def forward(self, noise: Tensor, labels: Tensor) -> Tensor:
        """Make pictures."""
        given = [_unit(noise)] if self.label is None else [_unit(noise), _unit(self.label(labels))]
        code = self.code(torch.cat(given, dim=1))
        features = self.base(code).reshape(len(noise), -1, self.sides[0], self.sides[0])
        picture: Tensor = features.new_zeros(len(noise), 3, self.sides[0], self.sides[0])
        for side, stage, draw in zip(self.sides, self.stages, self.pictures, strict=True):
            features = stage(features, code, side)
            side = self.size if side == self.sides[-1] else side
            picture = _smoothly(picture, side) + draw(_smoothly(features, side))
        return picture


class Stage(nn.Module):
    """Enlarge, convolve, normalise, then scale and shift by the code; the finest narrows before it enlarges."""

    def __init__(self, channels_in: int, channels: int, *, finest: bool) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(channels_in, channels, 3, padding=1) if finest else nn.Identity()
        self.conv = nn.Conv2d(channels if finest else channels_in, channels, 3, padding=1)
        self.scale_shift = nn.Linear(CODE, 2 * channels)

    def forward(self, features: Tensor, code: Tensor, side: int) -> Tensor:
        """Features (B, channels_in, ·, ·) and code (B, CODE) -> (B, channels, side, side)."""
        features = F.leaky_relu(self.conv(enlarge(self.narrow(features), side)), 0.2)
        # Each cell over its channels: layer normalisation, the one that has a fast kernel on a processor.
        features = F.layer_norm(features.permute(0, 2, 3, 1), features.shape[1:2]).permute(0, 3, 1, 2)
        scale, shift = self.scale_shift(code)[:, :, None, None].chunk(2, dim=1)
        return torch.addcmul(shift, features, 1 + scale)


class Critic(nn.Module):
    """Pictures (B, 3, size, size) in -1..1 and labels (B,) to one logit each: above 0 is "real"."""

    def __init__(self, *, size: int, classes: int, width: int = 32) -> None:
        super().__init__()
        self.patch = patch = 1 if size < LARGEST_GRID else 2 if size <= 2 * LARGEST_GRID else 4
        sides = grids(size // patch)
        widths = [width * 2**level for level in range(len(sides))]
        self.first = nn.Conv2d(3 * patch**2, widths[0], 3, padding=1)
        pairs = list(itertools.pairwise(widths))
        # Of side 4: at stride 2 kernels of side 3 weigh every other pixel twice, and so do their gradients.
        self.downs = nn.ModuleList(nn.Conv2d(a, b, 4, stride=2, padding=1) for a, b in pairs)
        self.last = nn.Conv2d(widths[-1] + 1, 4 * width, 3, padding=1)
        self.features = nn.Linear(4 * width * sides[-1] ** 2, 4 * width)
        self.verdict = nn.Linear(4 * width, 1)
        self.label = LabelEmbedding(classes, 4 * width) if classes else None

    def forward(self, pictures: Tensor, labels: Tensor) -> Tensor:
        """Judge pictures."""
        features = F.leaky_relu(self.first(F.pixel_unshuffle(pictures, self.patch)), 0.2)
        for down in self.downs:
            odd = features.shape[-1] % 2
            features = F.leaky_relu(down(F.pad(features, (0, odd, 0, odd))), 0.2)
        features = F.leaky_relu(self.last(torch.cat([features, _differences(features)], dim=1)), 0.2)
        inner = F.leaky_relu(self.features(features.flatten(1)), 0.2)
        verdict: Tensor = self.verdict(inner)[:, 0]
        if self.label is not None:
            verdict = verdict + (inner * self.label(labels)).sum(dim=1) / inner.shape[1] ** 0.5
        return verdict


def _unit(features: Tensor) -> Tensor:
    """Scale each row (B, C) to a mean square of one (Karras et al. 2018, section 4.2)."""
    scaled: Tensor = F.normalize(features.float(), dim=1) * features.shape[1] ** 0.5
    return scaled


def _smoothly(features: Tensor, side: int) -> Tensor:
    """Enlarge a grid, (B, C, ·, ·) -> (B, C, side, side), without edges between what was one cell and the next."""
    return features if features.shape[-1] == side else F.interpolate(features, (side, side), mode="bilinear")


def _picture(channels: int, *, finest: bool) -> nn.Conv2d:
    """Features to a picture's colours; small at first, so that all grids begin with an equal say."""
    conv = nn.Conv2d(channels, 3, 3, padding=1) if finest else nn.Conv2d(channels, 3, 1)
    nn.init.normal_(conv.weight, std=0.3 / math.sqrt(conv.weight[0].numel()))
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return conv


def _differences(features: Tensor) -> Tensor:
    """How much each picture and its neighbours differ, (B, C, H, W) -> (B, 1, H, W): their mean standard deviation."""
    batch, channels, height, width = features.shape
    among = math.gcd(batch, COMPARED)
    groups = features.float().reshape(batch // among, among, channels, height, width)
    variance = (groups - groups.mean(dim=1, keepdim=True)).square().mean(dim=1)
    deviation = (variance + 1e-8).sqrt().mean(dim=(1, 2, 3))
    told = deviation.repeat_interleave(among)[:, None, None, None]
    return told.expand(-1, 1, height, width).to(features.dtype)
