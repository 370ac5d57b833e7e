"""A network asked in bfloat16, and once more in float32 where that could change its label.

A processor with instructions for bfloat16 answers in half the time. What that rounds away moves logits a little, by
as much as is measured on some of the very pictures; where the first label is no further ahead than six times that,
float32 decides. What is left is a confidence that may be a hundredth off.
"""

import copy

import torch
from torch import Tensor, nn

from diptych.recognition.networks import Network
from diptych.recognition.networks.tta import margins

SURE = 6.0  # deviations of what rounding moves, from which on a label is left as it is


class BFloat16Network:
    """Logits and features in bfloat16, for networks on a processor whose pictures have one label each.

    Parameters
    ----------
    shown, told
        Pictures (B, 3, S, S) in [-1, 1], and the network's logits of them in float32.
    """

    def __init__(self, network: Network, shown: Tensor, told: Tensor) -> None:
        self._whole, self._network = network.logits_and_features, copy.deepcopy(network)
        for layer in self._network.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                layer.to(torch.bfloat16)
        self._network.head = network.head  # in float32: logits of eight bits would be too coarse
        with torch.inference_mode():
            moved = self._rounded(shown)[0] - told
        ahead = moved.gather(1, told.argmax(1, keepdim=True)) - moved  # (B, K): of the label over each of the others
        count = max(1, ahead.numel() - len(ahead))
        self.bound = SURE * float((ahead.square().sum() / count).sqrt())

    def __call__(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """(B, K) and (B, D) float32; of each picture both in the same precision."""
        logits, features = self._rounded(pictures)
        close = (margins(logits, multi_label=False) < self.bound).nonzero().flatten()
        if len(close):
            again_logits, again_features = self._whole(pictures[close])
            logits = logits.index_copy(0, close, again_logits)
            features = features.index_copy(0, close, again_features)
        return logits, features

    def _rounded(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast("cpu", torch.bfloat16):
            seen = self._network.features(pictures)
        seen = seen.float()
        return self._network.shifted(self._network.head(seen)), seen
