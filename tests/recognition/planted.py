"""Pictures of noise in which one planted patch decides the class, which a heatmap should highlight."""

import numpy as np
import torch
from torch import Tensor

from diptych.data.images import Images

CLASSES = ("red", "green")


def planted(n: int, size: int, patch: int, seed: int = 0) -> tuple[Images, Tensor]:
    """Pictures with a red or a green patch on a grid, and (N, size, size) bool masks of the patches."""
    draw = np.random.default_rng(seed)
    pixels = draw.integers(60, 196, (n, size, size, 3)).astype(np.uint8)
    labels = np.arange(n) % 2
    inside = np.zeros((n, size, size), bool)
    for i in range(n):
        top, left = draw.integers(0, size // patch, 2) * patch
        inside[i, top : top + patch, left : left + patch] = True
        pixels[i][inside[i]] = (230, 40, 40) if labels[i] == 0 else (40, 230, 40)
    return Images.from_arrays(pixels, labels, classes=CLASSES), torch.from_numpy(inside)


def focus(heatmaps: Tensor, inside: Tensor) -> float:
    """The ratio of the mean attribution inside the masks to that outside, over all pictures."""
    return float(heatmaps[inside].mean() / heatmaps[~inside].mean().clamp(min=1e-6))
