"""The judge: the embedder whose features generated and real pictures are compared by.

It is, in this order: the recognizer that a person names; for pictures of 32 px or more a pretrained backbone that needs
no network (of ``DIPTYCH_WEIGHTS``, else of the hub's cache, else the built-in lite0); a small recognizer, trained for
this on real pictures that are not scored; or else fixed random filters. The report names it with the digest of its
weights, since distances by different judges cannot be compared.

On CIFAR-10 at 32 px, lite0 puts real pictures first, then slightly blurred ones, samples of a flow, a GAN and a VAE,
one picture repeated, coarse blobs, and noise; random filters cannot tell the samples from real pictures.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diptych.backbones import local
from diptych.data.images import Images
from diptych.engine import machine
from diptych.errors import DataError
from diptych.recognition import networks
from diptych.recognition.inference.embedder import Embedder
from diptych.recognition.networks import Network

if TYPE_CHECKING:
    from diptych.recognition.recognizer import Recognizer

MIN_SKILL = 0.4  # of a recognizer, from guessing (0) to no error (1); one with less is a weak judge
PICTURES_SHOWN = 50_000  # in the training of a small recognizer, over all epochs
MIN_EPOCHS, MAX_EPOCHS = 4, 40
MAX_SIDE = 64  # px of the pictures that a small recognizer or the random filters take
FILTER_WIDTHS = (64, 128, 256)  # of the random filters' layers


@dataclass(frozen=True)
class Judge:
    """An embedder, and what it means for the scores.

    Attributes
    ----------
    embedder
        Turns pictures into embeddings.
    meaning
        In a sentence.
    weakness
        Why a verdict by it is uncertain, in a few words; empty: it is not.
    """

    embedder: Embedder
    meaning: str
    weakness: str = ""

    def features(self, images: Images) -> Tensor:
        """(N, D) float32 on the CPU: the embeddings, of length √D, so that x·y/D is the cosine of two pictures.

        The length of a network's features says how sure it is rather than what it sees; blurred pictures of a middling
        length would pass for real ones.
        """
        embeddings = torch.cat(list(self.embedder.batches(images)))
        return embeddings * math.sqrt(embeddings.shape[1])


def choose_judge(
    recognizer: "Recognizer | None", auxiliary: Images | None, size: int, minutes: float | None = None
) -> Judge:
    """The judge of pictures of ``size`` px.

    Parameters
    ----------
    recognizer
        The one that a person names; ``None``: none is named.
    auxiliary
        Real labelled pictures that are not scored, to train one on; ``None``: there are none.
    minutes
        For that training; ``None``: a bounded number of epochs.
    """
    if recognizer is not None:
        return _from_recognizer(
            recognizer,
            f"a given recognizer of {len(recognizer.classes_)} classes",
            "Its features represent what matters for its classes: differences that it learned to ignore do not count.",
        )
    if weights := local.judging_weights(size, machine.device().type):
        meaning = "A pretrained backbone represents photographs broadly, whatever their classes."
        return Judge(Embedder.from_backbone(weights.network), meaning)
    if auxiliary is not None:
        try:
            return _from_training(auxiliary, size, minutes)
        except DataError:  # the pictures cannot be trained on, such as a class with one picture
            pass
    return _from_random_filters(size)


def train_small_recognizer(images: Images, size: int, seed: int = 0, minutes: float | None = None) -> "Recognizer":
    """The classic small network, trained on labelled pictures for ``minutes``, or a bounded number of epochs.

    Raises
    ------
    DataError
        The pictures cannot be trained on.
    """
    from diptych.recognition.recognizer import Recognizer

    epochs = min(MAX_EPOCHS, max(MIN_EPOCHS, PICTURES_SHOWN // max(len(images), 1))) if minutes is None else None
    size = max(networks.MIN_SIZE, min(size, MAX_SIDE))
    return Recognizer("convnet", size=size, epochs=epochs, minutes=minutes, seed=seed).fit(images)


def _from_training(auxiliary: Images, size: int, minutes: float | None) -> Judge:
    return _from_recognizer(
        train_small_recognizer(auxiliary, size, minutes=minutes),
        f"a small recognizer, trained for this on {len(auxiliary):,} real pictures that are not scored",
        "Its features distinguish these classes, roughly. Compare its distances only with those of the same digest; a "
        "recognizer of your own as judge gives better features.",
    )


def _from_recognizer(recognizer: "Recognizer", name: str, meaning: str) -> Judge:
    return Judge(Embedder(recognizer.network_, recognizer.size_, name), meaning, _weakness(recognizer))


def _weakness(recognizer: "Recognizer") -> str:
    """Whether a recognizer hardly knows its own classes, by its accuracy on its validation pictures."""
    score = recognizer.scores_.get("accuracy")
    if not isinstance(score, dict) or recognizer.multi_label_ or len(recognizer.classes_) < 2:
        return ""
    guessing = 1 / len(recognizer.classes_)
    skill = (score["value"] - guessing) / (1 - guessing)
    return "" if skill >= MIN_SKILL else f"a recognizer with an accuracy of {score['value']:.0%} on held-out pictures"


def _from_random_filters(size: int) -> Judge:
    meaning = (
        "Fixed random filters respond to colours, edges and textures but not to objects: they detect that pictures are "
        "blurred, pale or noisy, and hardly whether they show what they should. A recognizer as judge detects more."
    )
    return Judge(
        Embedder(RandomFilters(), min(size, MAX_SIDE), "fixed random filters"), meaning, "fixed random filters"
    )


class RandomFilters(Network):
    """Three layers of random filters, always the same; the features are the mean and deviation of each map."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Identity()
        generator = torch.Generator().manual_seed(0)
        inputs = 3
        for i, width in enumerate(FILTER_WIDTHS):
            filters = torch.randn(width, inputs, 3, 3, generator=generator) * (2 / (9 * inputs)) ** 0.5
            self.register_buffer(f"layer{i}", filters)
            inputs = width

    def features(self, images: Tensor) -> Tensor:
        """(B, 3, S, S) in -1..1 to (B, 896); S is 4 or more."""
        maps, statistics = images, []
        for layer in self.buffers():
            maps = F.leaky_relu(F.conv2d(maps, layer, padding=1), 0.2)
            statistics += [maps.mean((2, 3)), maps.std((2, 3), correction=0)]
            maps = F.avg_pool2d(maps, 2) if maps.shape[-1] > 1 else maps
        return torch.cat(statistics, 1)
