"""Features of a pretrained backbone as it is, of pictures that lie in memory."""

import torch
from torch import Tensor
from torch.nn import functional as F

from diptych.backbones import timm_backbone
from diptych.backbones.weights import Weights

# Side of the backbone's input, in px. On photographs of 64 px, 96 px tell samples of a short training and blurs from
# real pictures as surely as the 224 px of the pretraining do, in an eighth of the time.
MIN_SIDE = 96
BATCH = 64


class BackboneFeatures:
    """Turns pictures into features of a backbone, of one length, so that x·y/D is the cosine of two pictures.

    Parameters
    ----------
    weights
        The backbone's.
    size
        Side of the pictures, in px. Smaller ones than ``MIN_SIDE`` are enlarged to it, larger ones than the backbone's
        pretraining are reduced.
    device
        That it computes on.
    """

    def __init__(self, weights: Weights, size: int, device: torch.device) -> None:
        self._device = device
        self.side = min(max(MIN_SIDE, size), max(MIN_SIDE, timm_backbone.default_size(weights.network)))
        backbone, facts = timm_backbone.build(weights.name, self.side, weights)
        self._backbone = backbone.eval().to(device).to(memory_format=torch.channels_last)
        self._mean, self._std = (torch.tensor(facts[key]).view(1, 3, 1, 1) for key in ("mean", "std"))

    @torch.no_grad()
    def __call__(self, pictures: Tensor) -> Tensor:
        """(N, 3, S, S) uint8 to (N, D) float32 on the CPU, each of length √D."""
        batches = torch.split(pictures, BATCH)
        features = torch.cat([self._backbone(self._prepared(batch)).float().cpu() for batch in batches])
        scaled: Tensor = F.normalize(features, dim=1) * features.shape[1] ** 0.5
        return scaled

    def _prepared(self, pictures: Tensor) -> Tensor:
        scaled = pictures.float() / 255
        if self.side != scaled.shape[-1]:
            scaled = F.interpolate(scaled, self.side, mode="bilinear", antialias=True)
        return ((scaled - self._mean) / self._std).to(self._device, memory_format=torch.channels_last)
