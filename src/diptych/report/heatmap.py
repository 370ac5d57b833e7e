"""A heatmap over a picture: the picture in grey, and what matters in colour."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
#: From little to much: yellow, orange, crimson. Lightness falls evenly, so that the order shows without colours, too.
COLOURS = ((255, 224, 102), (255, 137, 26), (201, 0, 56))
MAX_OPACITY = 0.75  # of the colour: the picture below it still shows
OPACITY_EXPONENT = 0.8  # how fast the colour fades out towards 0


def overlay(picture: NDArray[np.uint8], heatmap: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Lay a heatmap (h, w) in 0..1 over a picture (H, W, 3) uint8, enlarged to it; returns (H, W, 3) uint8."""
    height, width = picture.shape[:2]
    resized = Image.fromarray(np.asarray(heatmap, np.float32)).resize((width, height), Image.Resampling.BILINEAR)
    values = np.asarray(resized, np.float32).clip(0, 1)
    grey = picture.astype(np.float32) @ np.asarray(LUMA, np.float32)
    opacity = (MAX_OPACITY * values**OPACITY_EXPONENT)[..., None]
    return (grey[..., None] * (1 - opacity) + _colour(values) * opacity).round().astype(np.uint8)


def _colour(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """(H, W, 3) colours of (H, W) values in 0..1."""
    stops = np.linspace(0, 1, len(COLOURS))
    channels = [np.interp(values, stops, channel) for channel in zip(*COLOURS, strict=True)]
    return np.stack(channels, -1).astype(np.float32)
