"""How near a synthesizer's samples come to each picture: an attack on any program that samples."""

import numpy as np
import torch

from diptych.audit.privacy.candidates import Candidates
from diptych.audit.privacy.signals import Signals
from diptych.data.images import Images
from diptych.metrics.memorisation import MAX_SIDE, TrainingPictures, nearest_training
from diptych.synthesis.datasets import GEOMETRY

MIN_DISTANCE = 1e-3  # under which a sample is the picture


def nearness(candidates: Candidates, samples: Images, size: int, seed: int) -> Signals:
    """(N,) how much nearer each picture's nearest sample is than its nearest real picture among the candidates, in log.

    Plain pictures are near to anything, so a picture's distance to the samples is compared with that to other real
    pictures: those of the half of the candidates that it is not in, so that it is never compared with itself.
    Distances are those of the search for copies (:mod:`diptych.metrics.memorisation`).
    """
    side = min(MAX_SIDE, size)
    pictures = candidates.images.pixels(side, GEOMETRY)
    to_samples = nearest_training(pictures, TrainingPictures(samples.pixels(side, GEOMETRY))).distance
    to_others = torch.empty_like(to_samples)
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(pictures)))
    one, other = order.tensor_split(2)
    for rows, compared in ((one, other), (other, one)):
        to_others[rows] = nearest_training(pictures[rows], TrainingPictures(pictures[compared])).distance
    return (to_others.clamp(min=MIN_DISTANCE).log() - to_samples.clamp(min=MIN_DISTANCE).log()).double().numpy()
