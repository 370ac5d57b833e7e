"""Embedders: they turn pictures into feature vectors, by a fitted network or by a pretrained backbone as it is."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Self

from torch import Tensor
from torch.nn import functional as F

from diptych import artefact
from diptych.data.images import Images
from diptych.recognition import networks
from diptych.recognition.inference.batched import run_in_chunks
from diptych.recognition.networks import Network, pretrained


@dataclass(frozen=True)
class Embedder:
    """Turns pictures into embeddings.

    Attributes
    ----------
    network
        Its features are the embeddings; its head is not used.
    size
        Side of the network's input, in px.
    name
        In a few words, for reports.
    """

    network: Network
    size: int
    name: str

    @classmethod
    def from_backbone(cls, name: str) -> Self:
        """A pretrained backbone as it is: "lite0", "lite1", "lite2", "timm:NAME" or "timm:NAME@PATH".

        Raises
        ------
        UsageError
            There is no such backbone, or its weights are not to be had.
        """
        networks.check(name)
        size = pretrained.default_size(name)
        return cls(networks.build(name, classes=1, size=size).eval(), size, networks.name_of(name))

    @cached_property
    def sha256(self) -> str:
        """Of the network's weights: embeddings of different networks cannot be compared."""
        weights = {name: tensor for name, tensor in self.network.state_dict().items() if not name.startswith("head.")}
        return hashlib.sha256(artefact.pack(weights)).hexdigest()

    def facts(self) -> dict[str, str | int]:
        """What identifies the embedder, JSON-able."""
        return {"name": self.name, "sha256": self.sha256, "size": self.size}

    def batches(self, images: Images) -> Iterator[Tensor]:
        """Embeddings of unit length, (n, D) float32, about a thousand at a time, in order.

        NaN for a picture that cannot be read, with the reason in ``images.known_errors()``.
        """
        for features in run_in_chunks(self.network, self.network.features, images, self.size, "Embedding"):
            yield F.normalize(features, dim=1)
