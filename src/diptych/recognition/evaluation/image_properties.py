"""Properties of a picture by which evaluation slices are formed: light, sharpness, colour, shape and size."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from diptych.data.images import Images

BATCH = 256  # pictures
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601: weights of red, green and blue in perceived brightness


def image_properties(images: Images, size: int) -> dict[str, NDArray[np.float64]]:
    """The properties of readable pictures by name, (N,) each.

    ``brightness`` and ``contrast`` are the mean and the standard deviation of the luma, ``sharpness`` is the standard
    deviation of its Laplacian and ``colourfulness`` follows Hasler & Süsstrunk 2003, equation 9: all in 0..1, of the
    picture at the network's input ``size``. ``aspect ratio`` (width to height) and ``resolution`` (the square root of
    the number of pixels) are those of the file.
    """
    batches = [measure_pixels(pixels) for pixels in _batches(images, size)]
    properties = {name: torch.cat([batch[name] for batch in batches]).double().numpy() for name in batches[0]}
    width, height = images.dimensions().T.astype(np.float64)
    properties["aspect ratio"] = width / np.maximum(height, 1)
    properties["resolution"] = np.sqrt(width * height)
    return properties


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
    red_green, yellow_blue = red - green, (red + green) / 2 - blue
    std = torch.hypot(red_green.std((1, 2), correction=0), yellow_blue.std((1, 2), correction=0))
    return std + 0.3 * torch.hypot(red_green.mean((1, 2)), yellow_blue.mean((1, 2)))


def _batches(images: Images, size: int) -> Iterator[Tensor]:
    for start in range(0, len(images), BATCH):
        yield images[start : start + BATCH].pixels(size)
