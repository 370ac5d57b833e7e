"""The quality of a model in training: how far its samples are from held-out pictures, and how many are copies.

The features are those of patches, which cost a run nothing. A pretrained backbone takes 20 ms and more a picture on a
processor, so 5 s for an evaluation of 256 samples and as long once for the held-out pictures, while a run of ten
minutes has 18 s for all of its evaluations. ``diptych score`` has that time.
"""

import torch
from torch import Tensor

from diptych.data import duplicates
from diptych.data.images import Images
from diptych.metrics.distribution import Distance, kernel_distance, kernel_variance
from diptych.metrics.patch_features import PatchFeatures
from diptych.metrics.prdc import NEIGHBOURS, prdc
from diptych.synthesis import datasets
from diptych.synthesis.datasets import GEOMETRY, PreparedData
from diptych.synthesis.training.memorisation import CopyDetector, CopyRate
from diptych.synthesis.verdict import Evidence

MAX_HELD_OUT = 1024  # pictures that the distance is measured from
MAX_BY_CHANCE = 256  # of them that show how near to training pictures one comes by chance
FILTER_PICTURES = 512  # pictures that the features' filters come from
WEAKNESS = "features of colours and textures alone"


class QualityEvaluator:
    """Measures samples against held-out pictures.

    Parameters
    ----------
    held_out
        (M, 3, S, S) uint8.
    training
        (N, 3, S, S) uint8, among which copies are looked for; ``None`` looks for none.
    filter_pictures
        (K, 3, S, S) uint8, of the training pictures: the features' filters come from these.
    """

    def __init__(self, held_out: Tensor, training: Tensor | None, filter_pictures: Tensor) -> None:
        self._features = PatchFeatures(filter_pictures)
        self._held_out, self._other_real = self._features(held_out), self._features(filter_pictures)
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

        Training pictures stand in for other real ones, so held-out pictures alone are the reference.
        """
        features = self._features(samples)
        n = min(len(features), len(self._held_out), len(self._other_real))
        if n <= NEIGHBOURS:
            return None
        distance, copies = self(samples)
        unit = max(kernel_variance(self._held_out), 1e-12)  # 0 where all held-out pictures are one
        spread = torch.linspace(0, len(self._held_out) - 1, n).long()  # they may lie class by class
        real = self._held_out[spread]
        return Evidence(
            prdc(features[:n], real),
            prdc(self._other_real[:n], real),
            Distance(*(end / unit for end in distance)),
            n,
            repeated=duplicates.repeated_share(Images.from_arrays(samples.permute(0, 2, 3, 1).numpy())),
            copied=None if self._copies is None else copies.value * copies.significant,
            weakness=WEAKNESS,
        )

    @classmethod
    def for_data(cls, prepared: PreparedData, *, copies: bool = True) -> "QualityEvaluator | None":
        """The evaluator of a run on these pictures, which may search for copies; ``None`` where none are held out."""
        if prepared.held_out is None or len(prepared.held_out) < 2:
            return None
        training, size = prepared.training, prepared.size
        filter_pictures = datasets.random_subset(training, FILTER_PICTURES, 0).pixels(size, GEOMETRY)
        held_out = datasets.random_subset(prepared.held_out, MAX_HELD_OUT, 0).pixels(size, GEOMETRY)
        # No run of Diptych's sees a set too large for the memory often enough to memorise it.
        pixels = training.pixels(size, GEOMETRY) if copies and training.fits_in_memory(size) else None
        return cls(held_out, pixels, filter_pictures)
