"""Answers of a network, picture after picture, in bounded memory and independent of the batch size."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diptych.data.images import Images
from diptych.data.transforms import to_float
from diptych.engine import machine
from diptych.errors import PictureError
from diptych.progress import Bar
from diptych.recognition.calibration import familiarity, label_probabilities, probabilities
from diptych.recognition.networks import Network

BATCH = 256
LABEL_SHOWN = 0.5  # a label of several is told from this probability on


@dataclass(frozen=True)
class Predictions:
    """What a recognizer tells of N pictures, in the order given.

    Attributes
    ----------
    classes
        Names of the K classes.
    labels
        (N,) int64 class numbers, -1 for a picture that cannot be read; or (N, K) bool where a picture may have
        several labels (those of probability 0.5 or more).
    names
        The class's name; several are joined by ", "; "" for a picture that cannot be read.
    confidence
        (N,) float32 in 0..1: the probability of the label told; of several labels, that of the least sure
        decision. NaN for a picture that cannot be read.
    probabilities
        (N, K) float32, calibrated; a row of NaN for a picture that cannot be read.
    unknown
        (N,) bool: the picture is less like those learned than 99 % of the validation pictures are (by energy), or
        cannot be read. A hint and no more: about 1 % of ordinary pictures get it, and many strange ones do not.
    errors
        Why a picture cannot be read, by row.
    """

    classes: tuple[str, ...]
    labels: NDArray[np.int64] | NDArray[np.bool_]
    names: list[str]
    confidence: NDArray[np.float32]
    probabilities: NDArray[np.float32]
    unknown: NDArray[np.bool_]
    errors: Mapping[int, PictureError] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class Reading:
    """How logits are read: the calibration of one recognizer."""

    classes: tuple[str, ...]
    multi_label: bool
    temperature: float = 1.0
    threshold: float = -float("inf")

    def predictions(self, logits: Tensor, errors: Mapping[int, PictureError]) -> Predictions:
        """Read (N, K) logits, of which the rows in ``errors`` are NaN."""
        good = ~logits.isnan().any(1)
        chances = self.probabilities(logits)
        told, sure = (chances >= LABEL_SHOWN), torch.maximum(chances, 1 - chances).amin(1)
        labels: Tensor = told
        if self.multi_label:
            names = [", ".join(self.classes[i] for i in row.nonzero().flatten()) for row in told]
        else:
            sure, labels = chances.max(1)
            labels = labels.where(good, -1)
            names = [self.classes[i] if i >= 0 else "" for i in labels.tolist()]
        unknown = ~(familiarity(logits, multi_label=self.multi_label) >= self.threshold)
        return Predictions(self.classes, labels.numpy(), names, sure.numpy(), chances.numpy(), unknown.numpy(), errors)

    def probabilities(self, logits: Tensor) -> Tensor:
        """(N, K) calibrated probabilities."""
        read = label_probabilities if self.multi_label else probabilities
        return read(logits, self.temperature)


def logits(network: Network, images: Images, size: int, title: str = "Predicting") -> Tensor:
    """(N, K) float32 on the CPU, of readable pictures."""
    return _gathered(network, network, images, size, title)


def features(network: Network, images: Images, size: int) -> Tensor:
    """(N, D) float32 on the CPU, of readable pictures: what the network's head sees."""
    return _gathered(network, network.features, images, size, "Embedding")


def spread(answers: Tensor, rows: NDArray[np.bool_]) -> Tensor:
    """Put the answers (n, D) of readable pictures where ``rows`` (N,) is true; the others get NaN."""
    whole = torch.full((len(rows), *answers.shape[1:]), torch.nan)
    whole[torch.from_numpy(rows)] = answers
    return whole


def _gathered(network: Network, answer: Callable[[Tensor], Tensor], images: Images, size: int, title: str) -> Tensor:
    """Every batch's answer in float32: half precision would make it depend on the machine and the batch."""
    where = machine.device()
    network.to(where).eval()
    answers: list[Tensor] = []
    with torch.inference_mode(), Bar(title, len(images)) as bar:
        for pixels in _batches(images, size):
            answers.append(answer(to_float(pixels.to(where))).float().cpu())
            bar.advance(len(pixels))
        if not answers:  # the width is known to the network alone
            answers.append(answer(torch.zeros(1, 3, size, size, device=where)).float().cpu()[:0])
    # Cloned, since tensors of inference mode cannot take part in anything differentiated later.
    return torch.cat(answers).clone()


def _batches(images: Images, size: int) -> Iterator[Tensor]:
    """(B, 3, size, size) uint8 in order: from memory where the pictures are kept, streamed else."""
    if images.fits_in_memory(size):
        pixels = images.pixels(size)
        yield from (pixels[i : i + BATCH] for i in range(0, len(pixels), BATCH))
    else:
        rows = np.arange(len(images))
        yield from images.stream(size, "squash", (rows[i : i + BATCH] for i in range(0, len(rows), BATCH)))
