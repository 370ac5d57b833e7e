import struct

import numpy as np
import pytest

from diptych.data.decode import decode
from diptych.errors import PictureError


def document(channels, bits=8, resources=b"", layers=b""):
    """A Photoshop document of 3 x 2 pixels of one colour, as Photoshop writes them without compression."""
    header = b"8BPS" + struct.pack(">H6xHIIHH", 1, len(channels), 2, 3, bits, 3)
    parts = b"".join(struct.pack(">I", len(part)) + part for part in (b"", resources, layers))
    samples = b"".join(value.to_bytes(bits // 8, "big") * 6 for value in channels)
    return header + parts + b"\0\0" + samples


TRANSPARENT = struct.pack(">Ihxx", 4, -1)  # a count of layers below zero: the fourth channel is the transparency


@pytest.mark.parametrize("layers", [b"", TRANSPARENT], ids=["a saved selection", "transparency"])
@pytest.mark.parametrize("alpha", [0, 128])
def test_the_merged_colours_are_the_picture_whatever_the_fourth_channel_is(layers, alpha):
    pixels = decode(document((255, 127, 20, alpha), layers=layers))
    assert np.array_equal(pixels, np.full((2, 3, 3), (255, 127, 20)))


def test_a_document_that_has_nothing_to_read_is_refused_with_what_to_do():
    with pytest.raises(PictureError, match=r"a Photoshop document of 16 bits is not read; save it as TIFF or PNG"):
        decode(document((255, 127, 20), bits=16))
    version = b"8BIM" + struct.pack(">HHI", 1057, 0, 6) + b"\0\0\0\1\0\0"
    with pytest.raises(PictureError, match=r"without its merged picture; save it with .Maximize compatibility"):
        decode(document((255, 255, 255), resources=version))
