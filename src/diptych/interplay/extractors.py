"""Feature extractors: they turn pictures into the features whose distributions are compared.

The extractor is, in this order: the recognizer that a person names; a pretrained backbone whose weights are available
locally, for photographs; a small recognizer, trained for this on real pictures that are not scored; or else fixed
random filters. The report names it with the hash of its weights, since distances of different extractors cannot be
compared.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diptych import artefact
from diptych.backbones import local
from diptych.backbones.weights import Weights
from diptych.data.images import Images
from diptych.data.transforms import to_float
from diptych.engine import machine
from diptych.errors import DataError
from diptych.recognition import networks
from diptych.recognition.inference import batched
from diptych.recognition.networks import pretrained
from diptych.recognition.networks.network import PHOTOGRAPH

if TYPE_CHECKING:
    from diptych.recognition.recognizer import Recognizer

PICTURES_SHOWN = 50_000  # in the training of a small recognizer, over all epochs
MIN_EPOCHS, MAX_EPOCHS = 4, 40
MAX_SIDE = 64  # px of the pictures that a small recognizer or the random filters take
FILTER_WIDTHS = (64, 128, 256)  # of the random filters' layers
BATCH = 256


@dataclass(frozen=True)
class FeatureExtractor:
    """Turns pictures into features.

    Attributes
    ----------
    name
        In a few words.
    sha256
        Of its weights.
    meaning
        What this extractor means for the scores, in a sentence.
    features
        From pictures to (N, D) float32 on the CPU.
    """

    name: str
    sha256: str
    meaning: str
    features: Callable[[Images], Tensor]


def choose_extractor(recognizer: "Recognizer | None", auxiliary: Images | None, size: int) -> FeatureExtractor:
    """The feature extractor for pictures of ``size`` px.

    Parameters
    ----------
    recognizer
        The one that a person names; ``None``: none is named.
    auxiliary
        Real labelled pictures that are not scored, to train one on; ``None``: there are none.
    """
    if recognizer is not None:
        return _from_recognizer(
            recognizer,
            f"a given recognizer of {len(recognizer.classes_)} classes",
            "Its features represent what matters for its classes: differences that it learned to ignore do not count.",
        )
    if size >= PHOTOGRAPH and (candidates := local.local_weights()):
        return _from_backbone(local.best_weights(candidates, machine.device().type))
    if auxiliary is not None:
        try:
            return _from_training(auxiliary, size)
        except DataError:  # the pictures cannot be trained on, such as a class with one picture
            pass
    return _from_random_filters(size)


def train_small_recognizer(images: Images, size: int, seed: int = 0) -> "Recognizer":
    """The classic small network, trained on labelled pictures for a bounded number of epochs.

    Raises
    ------
    DataError
        The pictures cannot be trained on.
    """
    from diptych.recognition.recognizer import Recognizer

    epochs = min(MAX_EPOCHS, max(MIN_EPOCHS, PICTURES_SHOWN // max(len(images), 1)))
    size = max(networks.MIN_SIZE, min(size, MAX_SIDE))
    return Recognizer("convnet", size=size, epochs=epochs, seed=seed).fit(images)


def _from_training(auxiliary: Images, size: int) -> FeatureExtractor:
    return _from_recognizer(
        train_small_recognizer(auxiliary, size),
        f"a small recognizer, trained for this on {len(auxiliary):,} real pictures that are not scored",
        "Its features distinguish these classes, roughly. Compare its distances only with those of the same hash; a "
        "recognizer of your own as judge gives better features.",
    )


def _from_recognizer(recognizer: "Recognizer", name: str, meaning: str) -> FeatureExtractor:
    def features(images: Images) -> Tensor:
        return batched.batched_features(recognizer.network_, images, recognizer.size_)

    return FeatureExtractor(name, _hash(recognizer.network_), meaning, features)


def _from_backbone(pretrained_weights: Weights) -> FeatureExtractor:
    size = pretrained.default_size(pretrained_weights.network)
    network = networks.build(pretrained_weights.network, classes=1, size=size)

    def features(images: Images) -> Tensor:
        return batched.batched_features(network, images, size)

    sha256 = hashlib.sha256(pretrained_weights.file.read_bytes()).hexdigest()
    meaning = "A pretrained backbone represents photographs broadly, whatever their classes."
    return FeatureExtractor(f"{pretrained_weights.name}, pretrained", sha256, meaning, features)


def _from_random_filters(size: int) -> FeatureExtractor:
    filters = RandomFilters().to(machine.device())
    side = min(size, MAX_SIDE)

    def features(images: Images) -> Tensor:
        device = machine.device()
        with torch.inference_mode():
            batches = torch.split(images.pixels(side), BATCH)
            parts = [filters(to_float(batch.to(device))).cpu() for batch in batches]
        return torch.cat(parts).clone()

    meaning = (
        "Fixed random filters respond to colours, edges and textures but not to objects: they detect that pictures are "
        "blurred, pale or noisy, and hardly whether they show what they should. A recognizer as judge detects more."
    )
    return FeatureExtractor("fixed random filters", _hash(filters), meaning, features)


class RandomFilters(nn.Module):
    """Three layers of random filters, always the same; the features are the mean and deviation of each map."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        inputs = 3
        for i, width in enumerate(FILTER_WIDTHS):
            filters = torch.randn(width, inputs, 3, 3, generator=generator) * (2 / (9 * inputs)) ** 0.5
            self.register_buffer(f"layer{i}", filters)
            inputs = width

    def forward(self, pictures: Tensor) -> Tensor:
        """(B, 3, S, S) in -1..1 to (B, 896); S is 4 or more."""
        maps, statistics = pictures, []
        for layer in self.buffers():
            maps = F.leaky_relu(F.conv2d(maps, layer, padding=1), 0.2)
            statistics += [maps.mean((2, 3)), maps.std((2, 3), correction=0)]
            maps = F.avg_pool2d(maps, 2) if maps.shape[-1] > 1 else maps
        return torch.cat(statistics, 1)


def _hash(network: nn.Module) -> str:
    return hashlib.sha256(artefact.pack(network.state_dict())).hexdigest()
