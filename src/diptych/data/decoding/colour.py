"""Pillow's modes to RGB: depth, palettes, colour spaces, alpha."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def to_rgb(picture: Image.Image) -> Image.Image:
    """A decoded picture as RGB of 8 bits, any alpha laid on white."""
    mode = picture.mode
    if mode == "RGB" and "transparency" not in picture.info:
        return picture
    if mode.startswith("I") or mode == "F":
        return Image.fromarray(_grey_to_uint8(picture)).convert("RGB")
    if mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info:
        picture = picture.convert("LA") if mode == "La" else picture
        picture = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    return picture.convert("RGB")


def _grey_to_uint8(picture: Image.Image) -> NDArray[np.uint8]:
    """Grey values of more than 8 bits to (H, W) uint8, by the rule in the table of :mod:`diptych.data.decode`."""
    values = np.asarray(picture).astype(np.float64)
    values[~np.isfinite(values)] = 0.0
    low, high = float(values.min()), float(values.max())
    if picture.mode.startswith("I;16") or picture.format in ("PNG", "PPM"):
        low, high = 0.0, 65535.0
    elif low >= 0.0 and high <= 65535.0:
        is_float = picture.mode == "F"
        low, high = 0.0, 1.0 if is_float and high <= 1.0 else 255.0 if high <= 255.0 else 65535.0
    scaled = (values - low) * (255.0 / (high - low or 1.0))
    return np.rint(scaled).astype(np.uint8)
