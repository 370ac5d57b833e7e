"""A small U-Net (Ronneberger et al. 2015) with time and class: what a flow regresses with.

Large pictures are cut into patches (space to depth) first, which makes a step many times cheaper; a head of
full width still sees every pixel of a patch.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diptych.synthesis.networks.blocks import (
    Attention,
    Block,
    LabelEmbedding,
    TimeEmbedding,
    enlarge,
    group_norm,
)

ATTENTION_SIDE = 8


class UNet(nn.Module):
    """Pictures (B, 3, size, size), times (B,) in 0..1 and labels (B,) to an estimate of the pictures' shape.

    One block a level on the way down, one on the way up, with attention on grids of at most 8 cells a side.
    ``classes=0`` makes it unconditional; a label of -1 means "none given".
    """

    def __init__(
        self,
        *,
        size: int,
        classes: int,
        width: int = 64,
        patch: int = 1,
        multiples: Sequence[int] = (1, 2, 2),
    ) -> None:
        super().__init__()
        self.patch = patch
        widths = [width * multiple for multiple in multiples]
        self.sides = [size // patch]
        for _ in widths[1:]:
            self.sides.append((self.sides[-1] + 1) // 2)
        code = 2 * width
        self.time = nn.Sequential(TimeEmbedding(width), nn.Linear(width, code), nn.SiLU(), nn.Linear(code, code))
        self.label = LabelEmbedding(classes, code) if classes else None
        self.first = nn.Conv2d(3 * patch**2, width, 3, padding=1)
        self._build_levels(widths, code)
        self.norm = group_norm(width)
        self.last = nn.Conv2d(width, 3 * patch**2, 3, padding=1)
        nn.init.zeros_(self.last.weight)

    def _build_levels(self, widths: list[int], code: int) -> None:
        sources = [widths[0], *widths[:-1]]
        self.shrinks = nn.ModuleList(nn.Conv2d(a, a, 3, stride=2, padding=1) for a in sources[1:])
        self.downs = nn.ModuleList(Block(a, b, code) for a, b in zip(sources, widths, strict=True))
        self.middle = nn.ModuleList([Block(widths[-1], widths[-1], code) for _ in range(2)])
        above = [*widths[1:], widths[-1]]
        self.ups = nn.ModuleList(Block(a + b, b, code) for a, b in zip(above, widths, strict=True))
        self.attend = nn.ModuleList(
            Attention(w) if side <= ATTENTION_SIDE else nn.Identity()
            for w, side in zip(widths, self.sides, strict=True)
        )

    def forward(self, pictures: Tensor, times: Tensor, labels: Tensor) -> Tensor:
        """Estimate."""
        code = self.time(times)
        if self.label is not None:
            code = code + self.label(labels)
        code = F.silu(code)
        features = self.first(F.pixel_unshuffle(pictures, self.patch))
        skips = []
        for level, block in enumerate(self.downs):
            features = block(self.shrinks[level - 1](features) if level else features, code)
            features = self.attend[level](features)
            skips.append(features)
        for block in self.middle:
            features = block(features, code)
        for level in reversed(range(len(self.ups))):
            features = enlarge(features, self.sides[level]) if features.shape[-1] != self.sides[level] else features
            features = self.ups[level](torch.cat([features, skips[level]], dim=1), code)
        return F.pixel_shuffle(self.last(F.silu(self.norm(features))), self.patch)
