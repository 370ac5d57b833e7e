"""Outputs of a network that is too confident, for pictures of three classes that overlap."""

import numpy as np
import torch

from diptych.data.images import Images
from diptych.recognition.inference.outputs import Outputs

CLASSES = ("cat", "dog", "owl")


def blank_pictures(labels) -> Images:
    """Black pictures with these labels, named "array#0", "array#1" and so on."""
    return Images.from_arrays(np.zeros((len(labels), 8, 8, 3), np.uint8), labels, classes=CLASSES)


def overconfident_outputs(
    n: int, *, sharpness: float = 1.0, seed: int = 0, strength: float = 1.0
) -> tuple[Outputs, Images]:
    """Outputs for n labelled pictures: logits that are ``sharpness`` times too large, features ``strength`` long."""
    draw = torch.Generator().manual_seed(seed)
    calibrated = torch.randn(n, 3, generator=draw) * 2
    labels = torch.multinomial(calibrated.softmax(1), 1, generator=draw).flatten().numpy()
    slopes = torch.randn(n, 3, generator=draw)
    return Outputs(calibrated * sharpness, calibrated * strength, slopes), blank_pictures(labels)
