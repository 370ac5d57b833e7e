"""Embedded profiles: the colours that a viewer shows, computed by hand from the profile's matrix and curve."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from diptych.data.decode import decode, decode_square

# Columns of the primaries, adapted to D50: of Adobe RGB (1998) and of sRGB (IEC 61966-2-1).
ADOBE = np.array([(0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)])
SRGB = np.array([(0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410)])
COLOURS = np.array([[60, 160, 70], [200, 60, 50], [120, 120, 120], [40, 90, 200]], np.uint8)


def profile(space=b"RGB ", primaries=ADOBE, gamma=2.2):
    """A matrix profile, or one of grey, of version 2.1 (ICC.1:2001-04)."""

    def fixed(*values):
        return b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    def xyz(values):
        return b"XYZ \0\0\0\0" + fixed(*values)

    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    name = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + bytes(78) + b"\0"
    tags = [(b"desc", name), (b"cprt", b"text\0\0\0\0none\0\0\0\0"), (b"wtpt", xyz((0.9642, 1, 0.8249)))]
    if space == b"GRAY":
        tags.append((b"kTRC", curve))
    else:
        tags += [(tag, xyz(values)) for tag, values in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=True)]
        tags += [(tag, curve) for tag in (b"rTRC", b"gTRC", b"bTRC")]
    start, table, body = 132 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for tag, data in tags:
        data += bytes(-len(data) % 4)
        table += tag + struct.pack(">II", start + len(body), len(data))
        body += data
    head = struct.pack(">I4sI4s4s4s", start + len(body), bytes(4), 0x02100000, b"mntr", space, b"XYZ ")
    head = (head + bytes(12) + b"acsp" + bytes(28) + fixed(0.9642, 1, 0.8249)).ljust(128, b"\0")
    return head + table + body


def in_srgb(linear):
    linear = np.clip(linear, 0, 1)
    return np.rint(255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055))


def saved(picture, kind="PNG", **options):
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def near(pixels, expected, levels=2):
    return np.abs(pixels.astype(int) - expected).max() <= levels


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_a_wide_gamut_becomes_srgb(kind):
    expected = in_srgb((COLOURS / 255.0) ** 2.2 @ ADOBE @ np.linalg.inv(SRGB))
    options = {"lossless": True} if kind == "WEBP" else {}
    data = saved(Image.fromarray(COLOURS[None]), kind, icc_profile=profile(), **options)
    assert near(decode(data)[0], expected)
    assert not near(COLOURS, expected, 20)


def test_a_large_jpeg_decoded_at_reduced_size_has_its_profile_applied():
    data = saved(Image.new("RGB", (400, 300), (60, 160, 70)), "JPEG", icc_profile=profile(), quality=95)
    expected = in_srgb((np.array([60, 160, 70]) / 255.0) ** 2.2 @ ADOBE @ np.linalg.inv(SRGB))
    assert near(decode_square(data, 16)[0], expected, 4)


def test_grey_with_alpha_and_palettes_have_their_profiles_applied():
    grey = Image.fromarray(np.array([[0, 64, 128, 255]], np.uint8))
    expected = in_srgb((np.array([0, 64, 128, 255]) / 255.0) ** 1.0)
    data = saved(grey, icc_profile=profile(b"GRAY", gamma=1.0))
    assert near(decode(data)[0], expected[:, None])
    grey.putalpha(Image.fromarray(np.array([[255, 255, 0, 255]], np.uint8)))
    pixels = decode(saved(grey, icc_profile=profile(b"GRAY", gamma=1.0)))[0]
    assert near(pixels[[0, 1, 3]], expected[[0, 1, 3], None])
    assert pixels[2].tolist() == [255] * 3
    palette = Image.new("P", (1, 1))
    palette.putpalette([60, 160, 70])
    wide = in_srgb((np.array([60, 160, 70]) / 255.0) ** 2.2 @ ADOBE @ np.linalg.inv(SRGB))
    assert near(decode(saved(palette, icc_profile=profile()))[0, 0], wide)


def test_a_profile_of_srgb_changes_nothing(scene):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert np.array_equal(decode(saved(scene(0), icc_profile=srgb)), np.asarray(scene(0)))


@pytest.mark.parametrize(
    "broken", [b"no profile", profile()[:200], profile(b"GRAY"), profile()[:128] + bytes(300), b"\xff" * 5000]
)
def test_a_profile_that_is_broken_or_of_other_colours_is_ignored(scene, broken):
    assert np.array_equal(decode(saved(scene(0), icc_profile=broken)), np.asarray(scene(0)))
    cmyk = saved(scene(0).convert("CMYK"), "TIFF", icc_profile=broken)
    assert np.array_equal(decode(cmyk), np.asarray(scene(0).convert("CMYK").convert("RGB")))
