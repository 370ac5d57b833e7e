"""A U-Net (Ronneberger et al. 2015) conditioned on time and class: the network of a flow.

Large pictures are first cut into patches (space to depth), which makes a step many times cheaper; the first and last
layers, at full width, still process every pixel of a patch.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diptych.synthesis.networks.blocks import (
    Attention,
    LabelEmbedding,
    ResidualBlock,
    TimeEmbedding,
    group_norm,
    upsample,
)

SMALL = {"width": 64, "multiples": [1, 2, 2]}
LARGE = {"width": 128, "multiples": [2, 2, 2], "blocks": 2, "attention": 16}
WINDOW_SCALE = 4.0  # brings the coordinates of a window of half the area to about ±1


class UNet(nn.Module):
    """Pictures (B, 3, size, size), times (B,) in 0..1 and labels (B,) to an estimate of the pictures' shape.

    ``blocks`` residual blocks per level on the way down and as many on the way up, with attention on grids of at most
    ``attention`` cells a side. ``classes=0`` makes it unconditional; a label of -1 means "no label". With ``windows``
    it also takes which part of a picture it is given, (B, 4): see :func:`diptych.data.transforms.random_windows`.
    """

    def __init__(
        self,
        *,
        size: int,
        classes: int,
        width: int = 64,
        patch: int = 1,
        multiples: Sequence[int] = (1, 2, 2),
        blocks: int = 1,
        attention: int = 8,
        windows: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.patch, self.blocks = patch, blocks
        widths = [width * multiple for multiple in multiples]
        self.sides = [size // patch]
        for _ in widths[1:]:
            self.sides.append((self.sides[-1] + 1) // 2)
        code = 2 * width
        self.time = nn.Sequential(TimeEmbedding(width), nn.Linear(width, code), nn.SiLU(), nn.Linear(code, code))
        self.label = LabelEmbedding(classes, code) if classes else None
        self.window = nn.Linear(4, code, bias=False) if windows else None
        self.first = nn.Conv2d(3 * patch**2, width, 3, padding=1)
        self._build_levels(width, widths, partial(ResidualBlock, code_channels=code, dropout=dropout), attention)
        self.norm = group_norm(widths[0])
        self.last = nn.Conv2d(widths[0], 3 * patch**2, 3, padding=1)
        nn.init.zeros_(self.last.weight)

    def boundary_weights(self) -> list[Tensor]:
        """The weights of the layers that take or return pictures or window coordinates."""
        weights = [self.first.weight, self.last.weight]
        return weights if self.window is None else [*weights, self.window.weight]

    def _build_levels(
        self, width: int, widths: list[int], block: Callable[[int, int], ResidualBlock], attention: int
    ) -> None:
        """The blocks in order of their level, from the finest to the coarsest."""
        sources, coarser = [width, *widths[:-1]], [*widths[1:], widths[-1]]
        positions = [(level, index) for level in range(len(widths)) for index in range(self.blocks)]
        self.shrinks = nn.ModuleList(nn.Conv2d(a, a, 3, stride=2, padding=1) for a in sources[1:])
        self.downs = nn.ModuleList(block(widths[k] if i else sources[k], widths[k]) for k, i in positions)
        self.middle = nn.ModuleList([block(widths[-1], widths[-1]) for _ in range(2)])
        # The way up runs through the list from its end: a level's last block takes the output of the coarser level.
        incoming = [coarser[k] if i == self.blocks - 1 else widths[k] for k, i in positions]
        self.ups = nn.ModuleList(block(a + widths[k], widths[k]) for a, (k, _) in zip(incoming, positions, strict=True))
        self.attend = nn.ModuleList(
            Attention(widths[k]) if self.sides[k] <= attention else nn.Identity() for k, _ in positions
        )

    def forward(self, pictures: Tensor, times: Tensor, labels: Tensor, windows: Tensor | None = None) -> Tensor:
        """Estimate. ``windows`` None: the inputs are whole pictures."""
        code = self.time(times)
        if self.label is not None:
            code = code + self.label(labels)
        if self.window is not None and windows is not None:
            # The whole picture has coordinates (1, 1, 0, 0): nothing is added.
            code = code + self.window(torch.cat([windows[:, :2].log(), windows[:, 2:]], dim=1) * WINDOW_SCALE)
        code = F.silu(code)
        features = self.first(F.pixel_unshuffle(pictures, self.patch))
        skips = []
        for number, block in enumerate(self.downs):
            level, index = divmod(number, self.blocks)
            features = self.shrinks[level - 1](features) if level and not index else features
            features = self.attend[number](block(features, code))
            skips.append(features)
        for block in self.middle:
            features = block(features, code)
        for number in reversed(range(len(self.ups))):
            features = upsample(features, self.sides[number // self.blocks])
            features = self.ups[number](torch.cat([features, skips[number]], dim=1), code)
        return F.pixel_shuffle(self.last(F.silu(self.norm(features))), self.patch)
