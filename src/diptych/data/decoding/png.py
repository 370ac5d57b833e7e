"""PNG: transparent colours (the chunk tRNS) at every depth; Pillow compares them with pixels already changed."""

import io

import numpy as np
from PIL import Image

_HIGH, _LOW = "RGB;16B", "RGB;16L"  # the two bytes of a sample: Pillow keeps the first that the name means


def key_alpha(data: bytes | memoryview, picture: Image.Image) -> Image.Image | None:
    """The alpha of a PNG with a transparent grey or colour that Pillow does not lay on white itself, else ``None``.

    PNG specification (third edition), 11.3.1.1: the key has the depth of the file; its upper bits do not count.
    """
    key = picture.info.get("transparency")
    if picture.format != "PNG" or key is None or isinstance(key, bytes) or picture.mode == "P":
        return None
    depth, is_colour = data[24], data[25] == 2
    if is_colour and depth == 8:
        return None
    if is_colour:
        opaque = (_samples(data, _HIGH) != [value >> 8 for value in key]).any(2)
        opaque |= (_samples(data, _LOW) != [value & 255 for value in key]).any(2)
    else:
        key = int(picture.info["transparency"]) & ((1 << depth) - 1)
        scale = {1: 1, 2: 85, 4: 17}.get(depth, 1)
        opaque = np.asarray(picture) != (bool(key) if depth == 1 else key * scale)
    return Image.fromarray(np.where(opaque, np.uint8(255), np.uint8(0)))


def _samples(data: bytes | memoryview, rawmode: str) -> np.ndarray:
    """(H, W, 3) one byte of each sample of a PNG of 16-bit colour."""
    picture = Image.OPEN["PNG"][0](io.BytesIO(data), "")
    picture.tile = [tile._replace(args=rawmode) for tile in picture.tile]
    picture.load()
    return np.asarray(picture)
