"""A decoded picture to RGB: depth, palettes, colour spaces, embedded profiles, alpha."""

import io
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Ground = Literal["white", "black"]
#: A profile that changes no colour by more is sRGB, which is left as it is.
_MAX_SRGB_DIFFERENCE = 1
_PROFILE_SPACES = {"L": "GRAY", "RGB": "RGB ", "CMYK": "CMYK"}


def to_rgb(picture: Image.Image, alpha: Image.Image | None = None, ground: Ground = "white") -> Image.Image:
    """A decoded picture as sRGB of 8 bits, laid on the ground by its alpha, or the one given."""
    profile = picture.info.get("icc_profile")
    if picture.mode == "RGB" and alpha is None and not profile and "transparency" not in picture.info:
        return picture
    if alpha is None:
        picture, alpha = _split_alpha(picture)
    picture = _base_mode(picture)
    rgb = _to_srgb(picture, profile) if profile else picture.convert("RGB")
    if alpha is None:
        return rgb
    rgba = rgb.convert("RGBA")
    rgba.putalpha(alpha)
    return Image.alpha_composite(Image.new("RGBA", rgba.size, ground), rgba).convert("RGB")


def _split_alpha(picture: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """The colours without, and the alpha."""
    has_key = "transparency" in picture.info
    if picture.mode in ("LA", "La") or (picture.mode == "L" and has_key):
        picture = picture.convert("LA")
        return picture.getchannel("L"), picture.getchannel("A")
    if picture.mode in ("RGBA", "PA", "RGBa") or (has_key and picture.mode in ("1", "P", "RGB")):
        picture = picture.convert("RGBA")
        return picture.convert("RGB"), picture.getchannel("A")
    return picture, None


def _base_mode(picture: Image.Image) -> Image.Image:
    """One of the modes that profiles are about: L, RGB or CMYK."""
    if picture.mode.startswith("I") or picture.mode == "F":
        return Image.fromarray(_grey_to_uint8(picture))
    if picture.mode == "1":
        return picture.convert("L")
    if picture.mode in _PROFILE_SPACES:
        colours = picture.copy() if "transparency" in picture.info else picture
        colours.info.pop("transparency", None)  # it is in the alpha now
        return colours
    return picture.convert("RGB")


def _to_srgb(picture: Image.Image, profile: bytes) -> Image.Image:
    """Apply an embedded ICC profile, perceptually, as viewers do; one that is broken or of other colours counts not."""
    transform = _transform(bytes(profile), picture.mode)
    if transform is None:
        return picture if picture.mode == "RGB" else picture.convert("RGB")
    from PIL import ImageCms

    converted: Image.Image | None = ImageCms.applyTransform(picture, transform)
    return picture.convert("RGB") if converted is None else converted


@lru_cache(maxsize=32)
def _transform(profile: bytes, mode: str) -> Any:
    """The transform of littlecms from a profile to sRGB; ``None`` if it is not to be applied."""
    from PIL import ImageCms

    if profile[16:20] != _PROFILE_SPACES[mode].encode():
        return None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
        colours = _all_colours(mode)
        converted = ImageCms.applyTransform(colours, transform)
    except (ImageCms.PyCMSError, ImportError, OSError, ValueError):
        return None
    if converted is None:
        return None
    difference = np.abs(np.asarray(converted).astype(int) - np.asarray(colours.convert("RGB")))
    return transform if difference.max() > _MAX_SRGB_DIFFERENCE else None


def _all_colours(mode: str) -> Image.Image:
    """Colours of a mode at even distances."""
    bands = len(_PROFILE_SPACES[mode].strip()) if mode != "L" else 1
    steps = {1: 256, 3: 16, 4: 6}[bands]
    levels = np.linspace(0, 255, steps).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(*[levels] * bands), -1).reshape(1, -1, bands)
    return Image.frombytes(mode, grid.shape[1::-1], grid.tobytes())


def _grey_to_uint8(picture: Image.Image) -> NDArray[np.uint8]:
    """Grey values of more than 8 bits to (H, W) uint8, by the rule in the table of :mod:`diptych.data.decode`."""
    values = np.asarray(picture).astype(np.float64)
    full = 65535.0 if picture.mode.startswith("I;16") or picture.format in ("PNG", "PPM") else None
    return rescaled(values, full, is_float=picture.mode == "F")


def rescaled(values: NDArray[np.float64], full: float | None, is_float: bool) -> NDArray[np.uint8]:
    """Samples as bytes: from 0 to ``full``, or, where the file does not say, by what they hold."""
    values[~np.isfinite(values)] = 0.0
    low, high = 0.0, full or 0.0
    if full is None:
        low, high = float(values.min()), float(values.max())
        if low >= 0.0 and high <= 65535.0:
            low, high = 0.0, 1.0 if is_float and high <= 1.0 else 255.0 if high <= 255.0 else 65535.0
    return np.rint((values - low) * (255.0 / (high - low or 1.0))).astype(np.uint8)
