"""The quality of a model in training: how far its samples are from held-out pictures, and how many are copies.

The features are those of a pretrained backbone, at a small input, where there is one for such pictures; else those of
patches. ``diptych score`` takes the backbone's full input and more pictures.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from diptych.backbones import local
from diptych.backbones.features import BackboneFeatures
from diptych.backbones.weights import Weights
from diptych.data import duplicates
from diptych.data.images import Images
from diptych.engine import machine
from diptych.metrics.distribution import Distance, kernel_distance, kernel_variance
from diptych.metrics.patch_features import PatchFeatures
from diptych.metrics.prdc import NEIGHBOURS, prdc
from diptych.synthesis import datasets
from diptych.synthesis.datasets import GEOMETRY, PreparedData
from diptych.synthesis.training.memorisation import CopyDetector, CopyRate
from diptych.synthesis.verdict import Evidence

MAX_HELD_OUT = 512  # pictures that the distance is measured from
MAX_BY_CHANCE = 256  # of them that show how near to training pictures one comes by chance
OTHER_REAL = 512  # training pictures that stand in for other real ones, and that the filters of patches come from
MIN_REFERENCE = 100  # held-out pictures, below which training pictures are compared with, too
AMONG_TRAINING = "They were compared with training pictures, too, since few are held out."
WEAKNESS = "features of colours and textures alone"


class QualityEvaluator:
    """Measures samples against held-out pictures.

    Parameters
    ----------
    held_out
        (M, 3, S, S) uint8.
    training
        (N, 3, S, S) uint8, among which copies are looked for; ``None`` looks for none.
    other_real
        (K, 3, S, S) uint8, of the training pictures: they stand in for other real ones.
    """

    def __init__(self, held_out: Tensor, training: Tensor | None, other_real: Tensor) -> None:
        self._weights = _judging_weights(other_real.shape[-1])
        self._features = _features(self._weights, other_real)
        self._held_out, self._other_real = self._features(held_out), other_real
        spread = held_out[:: -(-len(held_out) // MAX_BY_CHANCE)]  # held-out pictures may lie class by class
        self._copies = None if training is None else CopyDetector(training, spread)

    def __call__(self, samples: Tensor) -> tuple[Distance, CopyRate]:
        """The kernel distance and the share of copies of samples (N, 3, S, S) uint8."""
        distance = kernel_distance(self._features(samples), self._held_out)
        return distance, CopyRate(0.0, False) if self._copies is None else self._copies(samples)

    def distance(self, samples: Tensor) -> float:
        """The kernel distance of samples (N, 3, S, S) uint8 from the held-out pictures."""
        return kernel_distance(self._features(samples), self._held_out).value

    def evidence(self, samples: Tensor) -> Evidence | None:
        """What a verdict on samples (N, 3, S, S) uint8 is weighed from; ``None``: there are too few pictures.

        The samples are compared with the held-out pictures, and with half of the training pictures where few are held
        out. The other training pictures show what real pictures reach, so as many are taken as there are samples.
        """
        real, other_real = self._held_out, self._other_real
        few = len(real) < MIN_REFERENCE
        if few:
            real, other_real = torch.cat([real, self._features(other_real[::2])]), other_real[1::2]
        n = min(len(samples), len(other_real))
        if n <= NEIGHBOURS:
            return None
        features = self._features(samples)
        distance = kernel_distance(features, real)
        unit = max(kernel_variance(real), 1e-12)  # 0 where all of them are one
        copies = None if self._copies is None else self._copies(samples)
        return Evidence(
            prdc(_spread(features, n), real),
            prdc(self._features(_spread(other_real, n)), real),
            Distance(*(end / unit for end in distance)),
            n,
            repeated=duplicates.repeated_share(Images.from_arrays(samples.permute(0, 2, 3, 1).numpy())),
            copied=None if copies is None else copies.value * copies.significant,
            weakness="" if self._weights else WEAKNESS,
            caveats=[AMONG_TRAINING] if few else [],
        )

    @classmethod
    def for_data(cls, prepared: PreparedData, *, copies: bool = True) -> "QualityEvaluator | None":
        """The evaluator of a run on these pictures, which may search for copies; ``None`` where none are held out."""
        if prepared.held_out is None or len(prepared.held_out) < 2:
            return None
        training, size = prepared.training, prepared.size
        if prepared.private:  # looked at by nothing but noised steps: the held-out ones stand in for them
            training, copies = prepared.held_out, False
        other_real = datasets.random_subset(training, OTHER_REAL, 0).pixels(size, GEOMETRY)
        held_out = datasets.random_subset(prepared.held_out, MAX_HELD_OUT, 0).pixels(size, GEOMETRY)
        # No run of Diptych's sees a set too large for the memory often enough to memorise it.
        pixels = training.pixels(size, GEOMETRY) if copies and training.fits_in_memory(size) else None
        return cls(held_out, pixels, other_real)


def judge(size: int) -> str:
    """What compares pictures of ``size`` px: a backbone with the digest of its weights, or "patches"."""
    weights = _judging_weights(size)
    return f"{weights.alias or weights.name} ({weights.sha256[:12]})" if weights else "patches"


def _judging_weights(size: int) -> Weights | None:
    return local.judging_weights(size, machine.device().type)


def _features(weights: Weights | None, reference: Tensor) -> Callable[[Tensor], Tensor]:
    """What turns pictures (N, 3, S, S) uint8 into features (N, D)."""
    if weights is None:
        return PatchFeatures(reference)
    return BackboneFeatures(weights, reference.shape[-1], machine.device())


def _spread(rows: Tensor, n: int) -> Tensor:
    """``n`` of the rows, which may lie class by class."""
    return rows[torch.linspace(0, len(rows) - 1, n).long()]
