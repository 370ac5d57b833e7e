"""The quality of a model in training: how far its samples are from held-out pictures, and how many are copies."""

from torch import Tensor

from diptych.metrics.distribution import Distance, kernel_distance
from diptych.metrics.patch_features import PatchFeatures
from diptych.synthesis import datasets
from diptych.synthesis.datasets import GEOMETRY, PreparedData
from diptych.synthesis.training.memorisation import CopyDetector, CopyRate

MAX_HELD_OUT = 1024  # pictures that the distance is measured from
MAX_BY_CHANCE = 256  # of them that show how near to training pictures one comes by chance
FILTER_PICTURES = 512  # pictures that the features' filters come from


class QualityEvaluator:
    """Measures samples against held-out pictures.

    Parameters
    ----------
    held_out
        (M, 3, S, S) uint8.
    training
        (N, 3, S, S) uint8, among which copies are looked for; ``None`` looks for none.
    filter_pictures
        (K, 3, S, S) uint8, from which the features' filters come.
    """

    def __init__(self, held_out: Tensor, training: Tensor | None, filter_pictures: Tensor) -> None:
        self._features = PatchFeatures(filter_pictures)
        self._held_out = self._features(held_out)
        spread = held_out[:: -(-len(held_out) // MAX_BY_CHANCE)]  # held-out pictures may lie class by class
        self._copies = None if training is None else CopyDetector(training, spread)

    def __call__(self, samples: Tensor) -> tuple[Distance, CopyRate]:
        """The kernel distance and the share of copies of samples (N, 3, S, S) uint8."""
        distance = kernel_distance(self._features(samples), self._held_out)
        return distance, CopyRate(0.0, False) if self._copies is None else self._copies(samples)

    @classmethod
    def for_data(cls, prepared: PreparedData) -> "QualityEvaluator | None":
        """The evaluator of a run on these pictures; ``None`` where none are held out."""
        if prepared.held_out is None or len(prepared.held_out) < 2:
            return None
        training, size = prepared.training, prepared.size
        filter_pictures = datasets.random_subset(training, FILTER_PICTURES, 0).pixels(size, GEOMETRY)
        held_out = datasets.random_subset(prepared.held_out, MAX_HELD_OUT, 0).pixels(size, GEOMETRY)
        # No run of Diptych's sees a set too large for the memory often enough to memorise it.
        pixels = training.pixels(size, GEOMETRY) if training.fits_in_memory(size) else None
        return cls(held_out, pixels, filter_pictures)
