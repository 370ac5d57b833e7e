"""Heat over a picture: the picture in grey, and what matters in colour."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
#: From little to much: yellow, orange, crimson. Lightness falls evenly, so that the order shows without colours, too.
COLOURS = ((255, 224, 102), (255, 137, 26), (201, 0, 56))
COVER = 0.75  # of the picture at most: what lies under the heat still shows
FADE = 0.8  # how fast heat fades out towards none


def overlay(picture: NDArray[np.uint8], heat: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Lay heat (h, w) in 0..1 over a picture (H, W, 3) uint8, enlarged to it; returns (H, W, 3) uint8."""
    high, wide = picture.shape[:2]
    grown = Image.fromarray(np.asarray(heat, np.float32)).resize((wide, high), Image.Resampling.BILINEAR)
    warm = np.asarray(grown, np.float32).clip(0, 1)
    grey = picture.astype(np.float32) @ np.asarray(LUMA, np.float32)
    cover = (COVER * warm**FADE)[..., None]
    return (grey[..., None] * (1 - cover) + _colour(warm) * cover).round().astype(np.uint8)


def _colour(warm: NDArray[np.float32]) -> NDArray[np.float32]:
    """(H, W, 3) of (H, W) in 0..1."""
    stops = np.linspace(0, 1, len(COLOURS))
    channels = [np.interp(warm, stops, channel) for channel in zip(*COLOURS, strict=True)]
    return np.stack(channels, -1).astype(np.float32)
