"""A network in bfloat16, repeated in float32 for the pictures whose label the rounding could change.

A processor with bfloat16 instructions takes half the time. The rounding moves logits a little; by how much is measured
on a sample of the pictures at hand. Where the first label is ahead by less than six times that, float32 decides. What
is left is a confidence that may be off by a hundredth.
"""

import copy

import torch
from torch import Tensor, nn

from diptych.recognition.networks import Network
from diptych.recognition.networks.tta import margins

SAFE_DEVIATIONS = 6.0  # root mean square rounding errors, above which a margin is safe


class BFloat16Network:
    """Logits and features in bfloat16, on a processor, for pictures with one label each.

    Parameters
    ----------
    pictures, logits
        A sample (B, 3, S, S) in [-1, 1], and the network's float32 logits for it, (B, K).

    Attributes
    ----------
    bound
        A picture with a margin under this is repeated in float32.
    """

    def __init__(self, network: Network, pictures: Tensor, logits: Tensor) -> None:
        self._float32, self._network = network.logits_and_features, copy.deepcopy(network)
        for layer in self._network.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                layer.to(torch.bfloat16)
        self._network.head = network.head  # in float32: eight bits are too coarse for logits
        with torch.inference_mode():
            errors = self._rounded(pictures)[0] - logits
        errors = errors.gather(1, logits.argmax(1, keepdim=True)) - errors  # (B, K): of the first label's margins
        count = max(1, errors.numel() - len(errors))
        self.bound = SAFE_DEVIATIONS * float((errors.square().sum() / count).sqrt())

    def __call__(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """(B, K) and (B, D) float32; both of a picture come from the same precision."""
        logits, features = self._rounded(pictures)
        close = (margins(logits, multi_label=False) < self.bound).nonzero().flatten()
        if len(close):
            exact_logits, exact_features = self._float32(pictures[close])
            logits = logits.index_copy(0, close, exact_logits)
            features = features.index_copy(0, close, exact_features)
        return logits, features

    def _rounded(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast("cpu", torch.bfloat16):
            features = self._network.features(pictures)
        features = features.float()
        return self._network.logits_of(features), features
