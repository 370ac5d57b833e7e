"""CMYK with an embedded profile: the colours that the profile says, by a profile and values made here."""

import io
import itertools
import struct

import numpy as np
import pytest
from PIL import Image

from diptych.data.decode import decode

INKS = [(0, 0, 0, 0), (255, 0, 0, 0), (0, 255, 255, 0), (0, 0, 0, 255)]  # cyan, magenta, yellow, black


def lab(cyan, magenta, yellow, black):
    """The colour of full inks."""
    if black:
        return 0, 0, 0
    colours = {(1, 0, 0): (60, -30, -40), (0, 1, 1): (50, 60, 40)}
    return colours.get((cyan, magenta, yellow), (100 - 30 * (cyan + magenta + yellow), 0, 0))


def profile():
    """A printer's profile with the colours of the 16 corners, in lut8Type (ICC.1:2001-04, 6.5.9)."""
    corners = [lab(*inks) for inks in itertools.product((0, 1), repeat=4)]
    levels = b"".join(bytes([round(light * 2.55), a + 128, b + 128]) for light, a, b in corners)
    unit, ramp = struct.pack(">9i", *(np.eye(3, dtype=int) << 16).flat), bytes(range(256))
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", 5) + b"test\0" + bytes(78),
        b"wtpt": b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061),
        b"cprt": b"text" + bytes(4) + b"none\0",
        b"A2B0": b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + unit + ramp * 4 + levels + ramp * 3,
    }
    table, body, start = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for name, data in tags.items():
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(">I4sI4s4s4s", start + len(body), b"lcms", 0x02400000, b"prtr", b"CMYK", b"Lab ")
    middle = bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return head + middle + bytes(128 - len(head + middle)) + table + body


def srgb(light, a, b):
    """L*a*b* under D50 as sRGB (IEC 61966-2-1, with Bradford's adaptation)."""
    y = (light + 16) / 116
    f, d = np.array([y + a / 500, y, y - b / 200]), 6 / 29
    xyz = np.where(f > d, f**3, 3 * d * d * (f - 4 / 29)) * [0.9642, 1, 0.8249]
    to_linear = [
        [3.1338561, -1.6168667, -0.4906146],
        [-0.9787684, 1.9161415, 0.0334540],
        [0.0719453, -0.2289914, 1.4052427],
    ]
    linear = np.clip(to_linear @ xyz, 0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])  # Adobe's JPEG holds the inks inverted
@pytest.mark.parametrize("ink", INKS)
def test_inks_have_the_colours_of_the_profile(ink, kind):
    file = io.BytesIO()
    Image.new("CMYK", (16, 16), ink).save(file, kind, icc_profile=profile())
    expected = srgb(*lab(*(value // 255 for value in ink)))
    assert np.abs(decode(file.getvalue())[8, 8] - expected).max() < 2
