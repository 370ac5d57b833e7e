"""A class-conditional DCGAN (Radford et al. 2015) at any size: an all-convolutional generator and critic.

It differs from the paper so that it trains on a few hundred pictures in minutes. Neither network has batch
normalisation; the generator normalises each cell over its channels, so a picture never depends on its batch. The
picture is the sum of the outputs of all grids from the coarsest on (Karras et al. 2020, section 4.1), so its layout
forms long before its details. Grids are upsampled and then convolved, since transposed convolutions leave a
chequerboard (Odena et al. 2016). Labels enter the critic by projection (Miyato & Koyama 2018), and it observes the
standard deviation over the pictures of a batch (Karras et al. 2018, section 3), which exposes mode collapse.
"""

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diptych.synthesis.networks.blocks import LabelEmbedding, grid_sides, upsample

CODE_LENGTH = 128  # of the vector that noise and class are mapped to
MAX_GRID = (
    32  # px: larger pictures are upsampled from their last grid in one step, and the critic takes patches of them
)
STDDEV_GROUP = 4  # pictures of a batch over which the critic takes the standard deviation


class Generator(nn.Module):
    """Noise (B, latent) and labels (B,) to pictures (B, 3, size, size) about -1..1.

    Noise and class are mapped to a code, which is projected to the coarsest grid and scales and shifts every layer.
    With the noise at the coarsest grid alone, the generator of large pictures learned to ignore it. ``classes=0``
    makes it unconditional.
    """

    def __init__(self, *, size: int, classes: int, latent: int = 64, width: int = 32) -> None:
        super().__init__()
        self.size = size
        self.sides = grid_sides(size if size <= MAX_GRID else size // 2 if size <= 2 * MAX_GRID else size // 4)[::-1]
        widths = [round(width * min(4, 1.5 * 2**level)) for level in range(len(self.sides))][::-1]
        self.label = LabelEmbedding(classes, latent) if classes else None
        inputs = latent * (2 if classes else 1)
        self.code = nn.Sequential(
            nn.Linear(inputs, CODE_LENGTH), nn.LeakyReLU(0.2), nn.Linear(CODE_LENGTH, CODE_LENGTH), nn.LeakyReLU(0.2)
        )
        self.base = nn.Linear(CODE_LENGTH, widths[0] * self.sides[0] ** 2)
        last = len(widths) - 1
        pairs = itertools.pairwise([widths[0], *widths])
        self.stages = nn.ModuleList(UpsampleBlock(a, b, finest=level == last) for level, (a, b) in enumerate(pairs))
        self.pictures = nn.ModuleList(_to_colours(b, finest=level == last) for level, b in enumerate(widths))

    def forward(self, noise: Tensor, labels: Tensor) -> Tensor:
        """Generate pictures."""
        inputs = [_unit(noise)] if self.label is None else [_unit(noise), _unit(self.label(labels))]
        code = self.code(torch.cat(inputs, dim=1))
        features = self.base(code).reshape(len(noise), -1, self.sides[0], self.sides[0])
        picture: Tensor = features.new_zeros(len(noise), 3, self.sides[0], self.sides[0])
        for side, stage, to_colours in zip(self.sides, self.stages, self.pictures, strict=True):
            features = stage(features, code, side)
            side = self.size if side == self.sides[-1] else side
            picture = _upsample_bilinear(picture, side) + to_colours(_upsample_bilinear(features, side))
        return picture


class UpsampleBlock(nn.Module):
    """Upsample, convolve, normalise, scale and shift by the code; the finest stage narrows before it upsamples."""

    def __init__(self, channels_in: int, channels: int, *, finest: bool) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(channels_in, channels, 3, padding=1) if finest else nn.Identity()
        self.conv = nn.Conv2d(channels if finest else channels_in, channels, 3, padding=1)
        self.scale_shift = nn.Linear(CODE_LENGTH, 2 * channels)

    def forward(self, features: Tensor, code: Tensor, side: int) -> Tensor:
        """Features (B, channels_in, ·, ·) and code (B, CODE_LENGTH) -> (B, channels, side, side)."""
        features = F.leaky_relu(self.conv(upsample(self.narrow(features), side)), 0.2)
        # Each cell over its channels: layer normalisation, which has a fast kernel on a CPU.
        features = F.layer_norm(features.permute(0, 2, 3, 1), features.shape[1:2]).permute(0, 3, 1, 2)
        scale, shift = self.scale_shift(code)[:, :, None, None].chunk(2, dim=1)
        return torch.addcmul(shift, features, 1 + scale)


class Critic(nn.Module):
    """Pictures (B, 3, size, size) in -1..1 and labels (B,) to one logit each: above 0 is "real"."""

    def __init__(self, *, size: int, classes: int, width: int = 32) -> None:
        super().__init__()
        self.patch = patch = 1 if size < MAX_GRID else 2 if size <= 2 * MAX_GRID else 4
        sides = grid_sides(size // patch)
        widths = [width * 2**level for level in range(len(sides))]
        self.first = nn.Conv2d(3 * patch**2, widths[0], 3, padding=1)
        pairs = list(itertools.pairwise(widths))
        # Kernel side 4: at stride 2, side 3 counts every other pixel twice, in its gradients as well.
        self.downs = nn.ModuleList(nn.Conv2d(a, b, 4, stride=2, padding=1) for a, b in pairs)
        self.last = nn.Conv2d(widths[-1] + 1, 4 * width, 3, padding=1)
        self.features = nn.Linear(4 * width * sides[-1] ** 2, 4 * width)
        self.verdict = nn.Linear(4 * width, 1)
        self.label = LabelEmbedding(classes, 4 * width) if classes else None

    def forward(self, pictures: Tensor, labels: Tensor) -> Tensor:
        """Score pictures."""
        features = F.leaky_relu(self.first(F.pixel_unshuffle(pictures, self.patch)), 0.2)
        for down in self.downs:
            odd = features.shape[-1] % 2
            features = F.leaky_relu(down(F.pad(features, (0, odd, 0, odd))), 0.2)
        features = F.leaky_relu(self.last(torch.cat([features, _minibatch_stddev(features)], dim=1)), 0.2)
        inner = F.leaky_relu(self.features(features.flatten(1)), 0.2)
        verdict: Tensor = self.verdict(inner)[:, 0]
        if self.label is not None:
            verdict = verdict + (inner * self.label(labels)).sum(dim=1) / inner.shape[1] ** 0.5
        return verdict


def _unit(features: Tensor) -> Tensor:
    """Scale each row (B, C) to a mean square of one (Karras et al. 2018, section 4.2)."""
    scaled: Tensor = F.normalize(features.float(), dim=1) * features.shape[1] ** 0.5
    return scaled


def _upsample_bilinear(features: Tensor, side: int) -> Tensor:
    """Resize a grid, (B, C, ·, ·) -> (B, C, side, side), without edges between its former cells."""
    return features if features.shape[-1] == side else F.interpolate(features, (side, side), mode="bilinear")


def _to_colours(channels: int, *, finest: bool) -> nn.Conv2d:
    """A convolution from features to colours; its small initial weights let all grids contribute alike at first."""
    conv = nn.Conv2d(channels, 3, 3, padding=1) if finest else nn.Conv2d(channels, 3, 1)
    nn.init.normal_(conv.weight, std=0.3 / math.sqrt(conv.weight[0].numel()))
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return conv


def _minibatch_stddev(features: Tensor) -> Tensor:
    """The mean standard deviation over groups of neighbouring pictures, (B, C, H, W) -> (B, 1, H, W)."""
    batch, channels, height, width = features.shape
    size = math.gcd(batch, STDDEV_GROUP)
    groups = features.float().reshape(batch // size, size, channels, height, width)
    variance = (groups - groups.mean(dim=1, keepdim=True)).square().mean(dim=1)
    deviation = (variance + 1e-8).sqrt().mean(dim=(1, 2, 3))
    per_picture = deviation.repeat_interleave(size)[:, None, None, None]
    return per_picture.expand(-1, 1, height, width).to(features.dtype)
