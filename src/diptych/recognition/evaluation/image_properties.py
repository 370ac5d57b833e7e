"""What can be measured of any picture, to see where a recognizer fails: light, sharpness, colour, shape and size."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from diptych.data.images import Images

BATCH = 256
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601: how bright red, green and blue look


def image_properties(images: Images, size: int) -> dict[str, NDArray[np.float64]]:
    """The properties of readable pictures, (N,) each, by name.

    ``brightness`` and ``contrast`` are the mean and the deviation of the luma, ``sharpness`` the deviation of its
    Laplacian and ``colourfulness`` that of Hasler & Süsstrunk 2003, equation 9: all in 0..1, of the picture as the
    network sees it, ``size`` px a side. ``width to height`` and ``pixels a side`` (the root of their number) are those
    of the file.
    """
    measured = [measure_pixels(pixels) for pixels in _batches(images, size)]
    found = {name: torch.cat([one[name] for one in measured]).double().numpy() for name in measured[0]}
    width, height = images.dimensions().T.astype(np.float64)
    found["width to height"] = width / np.maximum(height, 1)
    found["pixels a side"] = np.sqrt(width * height)
    return found


def measure_pixels(pixels: Tensor) -> dict[str, Tensor]:
    """Brightness, contrast, sharpness and colourfulness of (B, 3, S, S) uint8, (B,) each."""
    colour = pixels.float().div_(255)
    red, green, blue = colour.unbind(1)
    luma = LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue
    edges = F.conv2d(luma[:, None], torch.tensor([[[[0.0, 1, 0], [1, -4, 1], [0, 1, 0]]]]))
    return {
        "brightness": luma.mean((1, 2)),
        "contrast": luma.std((1, 2), correction=0),
        "sharpness": edges.std((1, 2, 3), correction=0),
        "colourfulness": _colourfulness(red, green, blue),
    }


def _colourfulness(red: Tensor, green: Tensor, blue: Tensor) -> Tensor:
    across, along = red - green, (red + green) / 2 - blue
    spread = torch.hypot(across.std((1, 2), correction=0), along.std((1, 2), correction=0))
    return spread + 0.3 * torch.hypot(across.mean((1, 2)), along.mean((1, 2)))


def _batches(images: Images, size: int) -> Iterator[Tensor]:
    for start in range(0, len(images), BATCH):
        yield images[start : start + BATCH].pixels(size)
