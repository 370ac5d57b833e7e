"""Photoshop documents: the merged picture, which lies on white already, whatever channels are saved beside it."""

import io
import struct
from typing import Any

from PIL import PsdImagePlugin

from diptych.errors import PictureError

_VERSION_INFO = 1057  # the image resource that says whether the file has a merged picture


def open_psd(data: bytes | memoryview) -> Any:
    """Read the header of a Photoshop document by Pillow, without the channels that are no colours.

    Pillow takes a fourth channel for the alpha. It may be a saved selection; and where it is the transparency, the
    merged colours are on white already ("Adobe Photoshop File Formats Specification", Image Data Section, as
    Photoshop writes it).

    Raises
    ------
    PictureError
        If it has a depth that Pillow does not read, or no merged picture.
    SyntaxError
        If it is damaged.
    """
    bits, mode = struct.unpack_from(">HH", data, 22)
    if bits in (16, 32) and (mode, bits) not in PsdImagePlugin.MODES:
        raise PictureError(f"a Photoshop document of {bits} bits is not read; save it as TIFF or PNG")
    picture = PsdImagePlugin.PsdImageFile(io.BytesIO(data), "")
    if any(number == _VERSION_INFO and content[4:5] == b"\0" for number, _, content in picture.resources):
        raise PictureError(
            'a Photoshop document without its merged picture; save it with "Maximize compatibility", or as TIFF or PNG'
        )
    if picture.mode == "RGBA":
        picture._mode, picture.tile = "RGB", picture.tile[:3]
    return picture
