"""Who judges made pictures: what turns pictures into the features that distances are taken between.

A judge is, in this order: the recognizer that a person names; a pretrained backbone whose weights are at hand, for
photographs; a small recognizer, trained for this on real pictures that are not scored; or else fixed random filters.
Each is named in the report with the hash of its weights, since distances of different judges cannot be compared.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diptych import artefact
from diptych.backbones import weights
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

SHOWN = 50_000  # pictures in the training of a small recognizer
EPOCHS = (4, 40)
LARGEST = 64  # px a side that it sees
WIDTHS = (64, 128, 256)  # of the random filters
BATCH = 256


@dataclass(frozen=True)
class FeatureExtractor:
    """What turns pictures into features.

    Attributes
    ----------
    name
        In a few words.
    sha256
        Of its weights.
    meaning
        What its being the judge means for the scores, a sentence.
    features
        From pictures to (N, D) float32 on the processor.
    """

    name: str
    sha256: str
    meaning: str
    features: Callable[[Images], Tensor]


def choose_extractor(judge: "Recognizer | None", aside: Images | None, size: int) -> FeatureExtractor:
    """The judge of pictures of ``size`` px.

    Parameters
    ----------
    judge
        The recognizer that a person names.
    aside
        Real labelled pictures that will not be scored, to train one on; ``None``: there are none.
    """
    if judge is not None:
        return _recognizer(
            judge,
            f"a recognizer of {len(judge.classes_)} classes that was given",
            "It sees what matters for its classes: differences that it was taught to overlook do not count.",
        )
    if size >= PHOTOGRAPH and (found := weights.local_weights()):
        return _backbone(weights.best_weights(found, machine.device().type))
    if aside is not None:
        try:
            return _taught(aside, size)
        except DataError:  # such as a class with one picture: they cannot be learned from
            pass
    return _filters(size)


def train_small_recognizer(images: Images, size: int, seed: int = 0) -> "Recognizer":
    """The classic small network, trained for a bounded while on labelled pictures.

    Raises
    ------
    DataError
        They cannot be trained on.
    """
    from diptych.recognition.recognizer import Recognizer

    least, most = EPOCHS
    epochs = min(most, max(least, SHOWN // max(len(images), 1)))
    return Recognizer("convnet", size=max(networks.MIN_SIZE, min(size, LARGEST)), epochs=epochs, seed=seed).fit(images)


def _taught(aside: Images, size: int) -> FeatureExtractor:
    return _recognizer(
        train_small_recognizer(aside, size),
        f"a small recognizer, trained for this on {len(aside):,} real pictures that are not scored",
        "It sees what tells these classes apart, and that roughly. Its distances can be compared with those of the "
        "same hash only; a recognizer of your own as judge sees more.",
    )


def _recognizer(judge: "Recognizer", name: str, meaning: str) -> FeatureExtractor:
    def features(images: Images) -> Tensor:
        return batched.batched_features(judge.network_, images, judge.size_)

    return FeatureExtractor(name, _hash(judge.network_), meaning, features)


def _backbone(found: weights.Weights) -> FeatureExtractor:
    size = pretrained.default_size(found.network)
    network = networks.build(found.network, classes=1, size=size)

    def features(images: Images) -> Tensor:
        return batched.batched_features(network, images, size)

    meaning = "A pretrained backbone sees photographs broadly, whatever their classes."
    return FeatureExtractor(
        f"{found.name}, pretrained", hashlib.sha256(found.file.read_bytes()).hexdigest(), meaning, features
    )


def _filters(size: int) -> FeatureExtractor:
    filters = RandomFilters().to(machine.device())
    side = min(size, LARGEST)

    def features(images: Images) -> Tensor:
        where = machine.device()
        with torch.inference_mode():
            parts = [filters(to_float(some.to(where))).cpu() for some in torch.split(images.pixels(side), BATCH)]
        return torch.cat(parts).clone()

    meaning = (
        "Fixed random filters see colours, edges and textures but no things: they notice that pictures are blurred, "
        "pale or noisy, and hardly whether they show what they should. A recognizer as judge sees more."
    )
    return FeatureExtractor("fixed random filters", _hash(filters), meaning, features)


class RandomFilters(nn.Module):
    """Three layers of random filters, the same everywhere; means and deviations of each map are the features."""

    def __init__(self) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(0)
        inputs = 3
        for i, width in enumerate(WIDTHS):
            drawn = torch.randn(width, inputs, 3, 3, generator=draw) * (2 / (9 * inputs)) ** 0.5
            self.register_buffer(f"layer{i}", drawn)
            inputs = width

    def forward(self, pictures: Tensor) -> Tensor:
        """(B, 3, S, S) in -1..1 to (B, 896); S is 4 or more."""
        seen, told = pictures, []
        for layer in self.buffers():
            seen = F.leaky_relu(F.conv2d(seen, layer, padding=1), 0.2)
            told += [seen.mean((2, 3)), seen.std((2, 3), correction=0)]
            seen = F.avg_pool2d(seen, 2) if seen.shape[-1] > 1 else seen
        return torch.cat(told, 1)


def _hash(network: nn.Module) -> str:
    return hashlib.sha256(artefact.pack(network.state_dict())).hexdigest()
