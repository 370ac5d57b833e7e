"""Transparent colours of PNG, each laid on white; expected values by the PNG specification, section 13.12."""

import struct
import zlib

import pytest

from diptych.data.decode import decode, decode_square, dimensions
from diptych.errors import PictureError

GREY, COLOUR = 0, 2


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width, depth, kind, row, key):
    header = struct.pack(">IIBBBBB", width, 1, depth, kind, 0, 0, 0)
    parts = [(b"IHDR", header), (b"tRNS", struct.pack(f">{len(key)}H", *key)), (b"IDAT", zlib.compress(b"\0" + row))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("width", "depth", "row", "key", "greys"),
    [
        (2, 1, b"\x40", 0, [255, 255]),
        (2, 1, b"\x40", 1, [0, 255]),
        (4, 2, b"\x1b", 2, [0, 85, 255, 255]),
        (2, 4, b"\x3c", 3, [255, 204]),
        (2, 8, bytes([7, 200]), 7, [255, 200]),
        (2, 8, bytes([7, 200]), 0x0107, [255, 200]),  # only the lower bits count
        (3, 16, struct.pack(">3H", 300, 301, 257 * 90), 300, [255, 1, 90]),
    ],
)
def test_a_transparent_grey_at_each_depth(width, depth, row, key, greys):
    pixels = decode(png(width, depth, GREY, row, [key]))
    assert pixels[0].tolist() == [[grey] * 3 for grey in greys]


def test_a_transparent_colour_of_sixteen_bits_is_compared_whole():
    samples = [1000, 2000, 3000, 1000, 2000, 3001, 257 * 10, 257 * 20, 257 * 30]
    data = png(3, 16, COLOUR, struct.pack(">9H", *samples), [1000, 2000, 3000])
    assert decode(data)[0].tolist() == [[255, 255, 255], [3, 7, 11], [10, 20, 30]]


def test_a_transparent_colour_of_eight_bits():
    assert decode(png(2, 8, COLOUR, bytes([1, 2, 3, 1, 2, 4]), [1, 2, 3]))[0].tolist() == [[255] * 3, [1, 2, 4]]


def test_the_picture_is_laid_on_white_before_it_is_resized():
    data = png(4, 2, GREY, b"\x00", [0])
    assert (decode_square(data, 8)[0] == 255).all()


def rows(height, packed_rows, value):
    """A grey PNG of 8 px across with so many of its rows."""
    header = struct.pack(">IIBBBBB", 8, height, 8, GREY, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress((b"\0" + bytes([value]) * 8) * packed_rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


@pytest.mark.parametrize("value", [0, 9])
def test_a_png_whose_rows_end_too_soon_is_refused(value):
    assert (decode(rows(20, 20, value)) == value).all()
    for packed_rows in (19, 1):
        with pytest.raises(PictureError, match="ends before the picture does"):
            decode(rows(20, packed_rows, value))
    with pytest.raises(PictureError, match="ends before the picture does"):
        dimensions(rows(4_000_000, 20, 9))  # more than so few bytes can hold: refused before memory is taken


def test_an_interlaced_png_is_whole_or_refused():
    raw = b"".join(
        (b"\0" + bytes([value]) * columns) * count
        for columns, count, value in ((1, 1, 0), (1, 1, 0), (2, 1, 0), (2, 2, 0), (4, 2, 0), (4, 4, 0), (8, 4, 0))
    )
    for content, is_whole in ((raw, True), (raw[:-9], False), (raw[:-18], False)):
        header = struct.pack(">IIBBBBB", 8, 8, 8, GREY, 0, 0, 1)
        parts = [(b"IHDR", header), (b"IDAT", zlib.compress(content)), (b"IEND", b"")]
        data = b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)
        if is_whole:
            assert decode(data).shape == (8, 8, 3)
        else:
            with pytest.raises(PictureError):
                decode(data)
