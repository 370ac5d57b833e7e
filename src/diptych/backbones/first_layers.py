"""The first layers of the built-in backbone: colours, edges, small marks; they see too little to recognise objects."""

import torch
from torch import Tensor, nn

from diptych.backbones import builtin, timm_backbone

STAGES = 3  # of the backbone's blocks, 16 to 40 maps; a value of the last depends on about 40 px
BATCH = 64


class FirstLayers:
    """Turns pictures into maps of what is where.

    Parameters
    ----------
    device
        That it computes on.
    """

    def __init__(self, device: torch.device) -> None:
        weights = builtin.builtin_weights(builtin.DEFAULT)
        backbone, facts = timm_backbone.build(weights.name, 224, weights)
        self._device = device
        self._stem = nn.Sequential(backbone.conv_stem, backbone.bn1).eval().to(device)
        self._stages = backbone.blocks[:STAGES].eval().to(device)
        self._mean, self._std = (torch.tensor(facts[key]).view(1, 3, 1, 1) for key in ("mean", "std"))

    @torch.no_grad()
    def __call__(self, pictures: Tensor) -> list[Tensor]:
        """(N, 3, S, S) uint8 to the maps of each stage on the CPU: (N, 16, S/2, S/2), (N, 24, S/4, S/4) and so on."""
        parts = [self._maps(batch) for batch in torch.split(pictures, BATCH)]
        return [torch.cat(maps) for maps in zip(*parts, strict=True)]

    def _maps(self, pictures: Tensor) -> list[Tensor]:
        maps = self._stem(((pictures.float() / 255 - self._mean) / self._std).to(self._device))
        stages = []
        for stage in self._stages:
            maps = stage(maps)
            stages.append(maps.float().cpu())
        return stages
