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
LARGEST_GRID = 64  # px: larger pictures are made in patches (depth to space), and read in patches from 32 px on
LARGEST_WIDE = 32  # px: finer grids get few channels, for they cost the most
COMPARED = 4  # pictures that the critic compares with each other


def _unit(features: Tensor) -> Tensor:
    """Scale the channels of every cell to a mean square of one (Karras et al. 2018, section 4.2)."""
    norm = torch.linalg.vector_norm(features, dim=1, keepdim=True, dtype=torch.float32)
    scaled: Tensor = features * (features.shape[1] ** 0.5 / (norm + 1e-2)).to(features.dtype)
    return scaled


class Generator(nn.Module):
    """Noise (B, latent) and labels (B,) to pictures (B, 3, size, size) about -1..1.

    The code, which noise and class are mapped to, makes the coarsest grid and then scales and shifts every layer:
    where noise entered only at the bottom, the generator of large pictures learnt to ignore it. ``classes=0`` makes
    it unconditional.
    """

    def __init__(self, *, size: int, classes: int, latent: int = 64, width: int = 32) -> None:
        super().__init__()
        self.patch = 2 if size > LARGEST_GRID else 1
        self.sides = grids(size // self.patch)[::-1]
        widths = _widths(self.sides, width)
        self.label = LabelEmbedding(classes, latent) if classes else None
        inputs = latent * (2 if classes else 1)
        self.code = nn.Sequential(nn.Linear(inputs, CODE), nn.LeakyReLU(0.2), nn.Linear(CODE, CODE), nn.LeakyReLU(0.2))
        self.base = nn.Linear(CODE, widths[0] * self.sides[0] ** 2)
        pairs = [(widths[0], widths[0]), *itertools.pairwise(widths)]
        fine = [side > LARGEST_WIDE for side in self.sides]
        self.stages = nn.ModuleList(Stage(a, b, fine=is_fine) for (a, b), is_fine in zip(pairs, fine, strict=True))
        last = len(widths) - 1
        self.pictures = nn.ModuleList(_picture(b, self.patch, last=i == last) for i, b in enumerate(widths))

    def forward(self, noise: Tensor, labels: Tensor) -> Tensor:
        """Make pictures."""
        given = [_unit(noise)] if self.label is None else [_unit(noise), _unit(self.label(labels))]
        code = self.code(torch.cat(given, dim=1))
        features = self.base(code).reshape(len(noise), -1, self.sides[0], self.sides[0])
        picture: Tensor | None = None
        for side, stage, draw in zip(self.sides, self.stages, self.pictures, strict=True):
            features = stage(features, code, side)
            drawn = draw(features)
            picture = drawn if picture is None else F.interpolate(picture, (side, side), mode="bilinear") + drawn
        assert picture is not None
        return F.pixel_shuffle(picture, self.patch)


class Stage(nn.Module):
    """Enlarge, convolve, normalise, then scale and shift by the code; a fine one narrows before it enlarges."""

    def __init__(self, channels_in: int, channels: int, *, fine: bool) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(channels_in, channels, 3, padding=1) if fine else nn.Identity()
        self.conv = nn.Conv2d(channels if fine else channels_in, channels, 3, padding=1)
        self.scale_shift = nn.Linear(CODE, 2 * channels)

    def forward(self, features: Tensor, code: Tensor, side: int) -> Tensor:
        """Features (B, channels_in, ·, ·) and code (B, CODE) -> (B, channels, side, side)."""
        features = _unit(F.leaky_relu(self.conv(enlarge(self.narrow(features), side)), 0.2))
        scale, shift = self.scale_shift(code)[:, :, None, None].chunk(2, dim=1)
        return torch.addcmul(shift, features, 1 + scale)


class Critic(nn.Module):
    """Pictures (B, 3, size, size) in -1..1 and labels (B,) to one logit each: above 0 is "real"."""

    def __init__(self, *, size: int, classes: int, width: int = 32) -> None:
        super().__init__()
        self.patch = patch = 1 if size < 32 else 2 if size <= LARGEST_GRID else 4
        sides = grids(size // patch)
        widths = [width * min(2**level, 4) for level in range(len(sides))]
        self.first = nn.Conv2d(3 * patch**2, widths[0], 3, padding=1)
        pairs = list(itertools.pairwise(widths))
        self.downs = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairs)
        self.last = nn.Conv2d(widths[-1] + 1, widths[-1], 3, padding=1)
        self.features = nn.Linear(widths[-1] * sides[-1] ** 2, 4 * width)
        self.verdict = nn.Linear(4 * width, 1)
        self.label = LabelEmbedding(classes, 4 * width) if classes else None

    def forward(self, pictures: Tensor, labels: Tensor) -> Tensor:
        """Judge pictures."""
        features = F.leaky_relu(self.first(F.pixel_unshuffle(pictures, self.patch)), 0.2)
        for down in self.downs:
            features = F.leaky_relu(down(features), 0.2)
        features = F.leaky_relu(self.last(torch.cat([features, _differences(features)], dim=1)), 0.2)
        inner = F.leaky_relu(self.features(features.flatten(1)), 0.2)
        verdict: Tensor = self.verdict(inner)[:, 0]
        if self.label is not None:
            verdict = verdict + (inner * self.label(labels)).sum(dim=1) / inner.shape[1] ** 0.5
        return verdict


def _widths(sides: list[int], width: int) -> list[int]:
    """The generator's channels, from the coarsest grid to the finest."""
    fine = [width // 2 for side in sides if side > LARGEST_WIDE]
    wide = len(sides) - len(fine)
    return [*[4 * width] * (wide - 1), 2 * width, *fine]


def _picture(channels: int, patch: int, *, last: bool) -> nn.Conv2d:
    """Features to a picture's colours; small at first, so that all grids begin with an equal say."""
    conv = nn.Conv2d(channels, 3 * patch**2, 3, padding=1) if last else nn.Conv2d(channels, 3 * patch**2, 1)
    nn.init.normal_(conv.weight, std=0.3 / math.sqrt(conv.weight[0].numel()))
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return conv


def _differences(features: Tensor) -> Tensor:
    """How much a few pictures of the batch differ, (B, C, H, W) -> (B, 1, H, W): their mean standard deviation."""
    batch, _, height, width = features.shape
    among = COMPARED if batch % COMPARED == 0 else 1
    groups = features.float().reshape(among, batch // among, *features.shape[1:])
    deviation = (groups.var(dim=0, correction=0) + 1e-8).sqrt().mean(dim=(1, 2, 3))
    return deviation.repeat(among)[:, None, None, None].expand(-1, 1, height, width).to(features.dtype)
