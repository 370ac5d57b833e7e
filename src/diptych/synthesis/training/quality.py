"""How a model in training is judged: how far what it makes is from held-out pictures, and how much of it is copied."""

from torch import Tensor

from diptych.metrics.distribution import Distance, kernel_distance
from diptych.metrics.patch_features import PatchFeatures
from diptych.synthesis import datasets
from diptych.synthesis.datasets import GEOMETRY, PreparedData
from diptych.synthesis.training.memorisation import CopyDetector, CopyRate

MOST_HELD = 1024  # pictures that the distance is measured from
MOST_COMPARED = 256  # of them that tell how near to training pictures one comes by chance
FILTERED_FROM = 512  # pictures that the features' filters come from


class QualityJudge:
    """Measures made pictures against held-out ones."""

    def __init__(self, held: Tensor, train: Tensor | None, some: Tensor) -> None:
        self._features = PatchFeatures(some)
        self._held = self._features(held)
        spread = held[:: -(-len(held) // MOST_COMPARED)]  # held-out pictures may lie class by class
        self._copies = None if train is None else CopyDetector(train, spread)

    def __call__(self, made: Tensor) -> tuple[Distance, CopyRate]:
        """Of made pictures (N, 3, S, S) uint8."""
        distance = kernel_distance(self._features(made), self._held)
        return distance, CopyRate(0.0, False) if self._copies is None else self._copies(made)

    @classmethod
    def of(cls, prepared: PreparedData) -> "QualityJudge | None":
        """The judge of these pictures; None where none are held out."""
        if prepared.held is None or len(prepared.held) < 2:
            return None
        train, size = prepared.train, prepared.size
        some = datasets.random_subset(train, FILTERED_FROM, 0).pixels(size, GEOMETRY)
        held = datasets.random_subset(prepared.held, MOST_HELD, 0).pixels(size, GEOMETRY)
        # A set too large for the memory is learnt by heart in no run of ours.
        whole = train.pixels(size, GEOMETRY) if train.fits_in_memory(size) else None
        return cls(held, whole, some)
