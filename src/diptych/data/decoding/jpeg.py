"""JPEG: small files without Pillow's header."""

import math
import struct
from contextlib import suppress

from PIL import Image

from diptych.data.decoding.limits import MAX_PIXELS

#: A JPEG of up to so many bytes is decoded sooner than Pillow has read its header.
_MAX_PLAIN_JPEG_BYTES = 4096
_JPEG_FRAME_MARKERS = (0xC0, 0xC1, 0xC2)  # baseline, extended, progressive
_JPEG_TABLE_MARKERS = (0xC4, 0xDB, 0xDD, 0xE0, 0xFE)  # also JFIF and comments: nothing that changes the pixels
_JPEG_SCAN_MARKER = 0xDA
_JPEG_MODES = {1: "L", 3: "RGB"}


def plain_jpeg(data: bytes | memoryview, below: float = math.inf) -> Image.Image | None:
    """Decode a small JPEG by Pillow's decoder alone, without Pillow reading its header; ``None`` for any other file.

    Small, with no metadata, whole, and of a shorter side under ``below``: the pixels are those of :func:`_opened`.
    """
    if len(data) > _MAX_PLAIN_JPEG_BYTES or bytes(data[:2]) != b"\xff\xd8" or bytes(data[-2:]) != b"\xff\xd9":
        return None
    data, at, shape = bytes(data), 2, None
    while at + 10 < len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _JPEG_FRAME_MARKERS:
            bits, height, width, components = struct.unpack_from(">BHHB", data, at + 4)
            shape = _JPEG_MODES.get(components) if bits == 8 else None, (width, height)
        elif marker not in _JPEG_TABLE_MARKERS:
            break
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
    if shape is None or data[at : at + 2] != bytes((0xFF, _JPEG_SCAN_MARKER)):
        return None
    mode, size = shape
    if mode is None or not 0 < min(size) < below or size[0] * size[1] > MAX_PIXELS:
        return None
    with suppress(ValueError):  # damaged: the ordinary way explains how
        return Image.frombytes(mode, size, data, "jpeg", mode, "")
    return None
