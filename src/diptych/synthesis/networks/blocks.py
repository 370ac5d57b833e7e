"""Building blocks that the synthesizers' networks share: grids, embeddings and a modulated residual block."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

MAX_COARSEST_SIDE = 6  # cells: larger grids are halved once more


def grid_sides(size: int) -> list[int]:
    """Side lengths of the feature grids, from the picture's own to the coarsest; each is half of the previous one.

    Odd sides are rounded up, so every picture size ends between 4 and 6 cells a side: 64 gives 64, 32, 16, 8, 4
    and 28 gives 28, 14, 7, 4.
    """
    sides = [size]
    while sides[-1] > MAX_COARSEST_SIDE:
        sides.append((sides[-1] + 1) // 2)
    return sides


class GroupNorm(nn.GroupNorm):
    """Group normalisation (Wu & He 2018), computed in single precision for any input; it never mixes pictures.

    On a CPU, torch's half-precision kernel takes three times as long; on a GPU, autocast does the same.
    """

    def forward(self, features: Tensor) -> Tensor:
        """Normalise; the output has the precision of the input."""
        return super().forward(features.float()).to(features.dtype)


def group_norm(channels: int) -> nn.GroupNorm:
    """Group normalisation with at least 8 channels per group."""
    return GroupNorm(math.gcd(channels, max(1, channels // 8)), channels)


def upsample(features: Tensor, side: int) -> Tensor:
    """Resize a feature grid to ``side`` × ``side`` by nearest neighbour."""
    if features.shape[-1] == side:
        return features
    return F.interpolate(features, size=(side, side), mode="nearest")


class TimeEmbedding(nn.Module):
    """Sinusoidal embedding of times in 0..1, (B,) -> (B, channels).

    As in Vaswani et al. 2017 (section 3.5), with frequencies from 1 to 1,000 radians.
    """

    frequencies: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        steps = torch.linspace(0, 1, channels // 2)
        self.register_buffer("frequencies", torch.exp(steps * math.log(1000.0)), persistent=False)

    def forward(self, times: Tensor) -> Tensor:
        """Times (B,) -> (B, channels)."""
        angles = times.float()[:, None] * self.frequencies
        return torch.cat([angles.sin(), angles.cos()], dim=1)


class LabelEmbedding(nn.Module):
    """One vector per class, and one more for "no label" (number ``classes``, or any negative number).

    Class weights (B, classes + 1) give the weighted mean of the vectors.
    """

    def __init__(self, classes: int, channels: int) -> None:
        super().__init__()
        self.classes = classes
        self.vectors = nn.Embedding(classes + 1, channels)

    def forward(self, labels: Tensor) -> Tensor:
        """Class numbers (B,), or class weights (B, classes + 1), -> (B, channels)."""
        if labels.is_floating_point():
            return labels @ self.vectors.weight
        vectors: Tensor = self.vectors(torch.where(labels < 0, self.classes, labels))
        return vectors


class ResidualBlock(nn.Module):
    """Residual block: twice (group norm, SiLU, 3 × 3 convolution), the second norm scaled and shifted.

    The scale and shift are linear in ``code`` (FiLM, Perez et al. 2018), the conditioning vector of time, class or
    latents; with ``code_channels=0`` the block is unconditional. The last convolution starts at zero, so every block
    of a new network is the identity. ``dropout`` is the probability that a channel is dropped in training (Tompson et
    al. 2015: whole channels, because neighbouring cells are correlated).
    """

    def __init__(self, channels_in: int, channels: int, code_channels: int = 0, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm1, self.norm2 = group_norm(channels_in), group_norm(channels)
        self.conv1 = nn.Conv2d(channels_in, channels, 3, padding=1)
        self.dropout = nn.Dropout2d(dropout)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.skip = nn.Conv2d(channels_in, channels, 1) if channels_in != channels else nn.Identity()
        self.code = nn.Linear(code_channels, 2 * channels) if code_channels else None
        nn.init.zeros_(self.conv2.weight)

    def forward(self, features: Tensor, code: Tensor | None = None) -> Tensor:
        """Features (B, channels_in, H, W) and code (B, code_channels) -> (B, channels, H, W)."""
        inner = self.norm2(self.conv1(F.silu(self.norm1(features))))
        if self.code is not None and code is not None:
            scale, shift = self.code(code)[:, :, None, None].chunk(2, dim=1)
            inner = inner * (1 + scale) + shift
        out: Tensor = self.skip(features) + self.conv2(self.dropout(F.silu(inner)))
        return out


class Attention(nn.Module):
    """Residual self-attention over the cells of a small grid, 32 channels per head (Vaswani et al. 2017)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.heads = max(1, channels // 32)
        self.norm = group_norm(channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.out.weight)

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, channels, H, W) -> the same shape."""
        batch, channels, height, width = features.shape
        qkv = self.qkv(self.norm(features)).reshape(batch, 3, self.heads, channels // self.heads, -1)
        query, key, value = qkv.transpose(-1, -2).unbind(1)  # each (B, heads, cells, channels per head)
        attended = _attention(query, key, value).transpose(-1, -2)
        out: Tensor = features + self.out(attended.reshape(batch, channels, height, width))
        return out


def _attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Scaled dot-product attention; on a CPU in single precision, which is six times as fast there."""
    if query.device.type != "cpu" or query.dtype == torch.float32:
        return F.scaled_dot_product_attention(query, key, value)
    with torch.autocast("cpu", enabled=False):
        attended = F.scaled_dot_product_attention(query.float(), key.float(), value.float())
    return attended.to(query.dtype)
