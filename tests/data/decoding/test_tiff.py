"""TIFF of every depth, sample format, order of planes and colour space, against values computed by hand."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from diptych.data.decode import decode, decode_square, dimensions
from diptych.errors import PictureError

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR, LAB, ICC_LAB = 0, 1, 2, 3, 5, 6, 8, 9
UNSIGNED, SIGNED, FLOAT = 1, 2, 3
DEFLATE = 8


def tiff(chunks, size, bits, photometric=BLACK_IS_ZERO, order="<", **tags):
    """A TIFF of these strips or tiles; further tags as t338=[2]."""
    width, height = size
    values = {256: [width], 257: [height], 258: bits, 259: [1], 262: [photometric], 277: [len(bits)], 278: [height]}
    values |= {int(name[1:]): value for name, value in tags.items()}
    tiled = 322 in values
    if values[259] == [DEFLATE]:
        chunks = [zlib.compress(chunk) for chunk in chunks]
    values[325 if tiled else 279] = [len(chunk) for chunk in chunks]
    values[324 if tiled else 273] = [0] * len(chunks)
    entries, tail = b"", b""
    start = 10 + 12 * len(values)
    long_ = {tag: 4 * len(value) for tag, value in values.items() if len(value) > 1}
    first = start + 4 + sum(long_.values())
    values[324 if tiled else 273] = [first + sum(map(len, chunks[:i])) for i in range(len(chunks))]
    for tag, value in sorted(values.items()):
        packed = struct.pack(f"{order}{len(value)}I", *value)
        if tag in long_:
            packed, tail = struct.pack(f"{order}I", start + 4 + len(tail)), tail + packed
        entries += struct.pack(f"{order}HHI", tag, 4, len(value)) + packed
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HIH", 42, 8, len(values))
    return head + entries + bytes(4) + tail + b"".join(chunks)


def greys(data):
    pixels = decode(data, "a.tif")
    assert (pixels == pixels[..., :1]).all()
    return pixels[0, :, 0].tolist()


def packed(values, bits):
    text = "".join(f"{value:0{bits}b}" for value in values)
    return int(text.ljust(-(-len(text) // 8) * 8, "0"), 2).to_bytes(-(-len(text) // 8))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compression", [1, DEFLATE])
@pytest.mark.parametrize(
    ("photometric", "shades"), [(BLACK_IS_ZERO, [0, 64, 128, 255]), (WHITE_IS_ZERO, [255, 191, 127, 0])]
)
def test_grey_of_one_and_two_bytes(photometric, shades, order, compression):
    deep = np.array([0, 16448, 32896, 65535], f"{order}u2").tobytes()
    for chunk, bits in ((bytes([0, 64, 128, 255]), 8), (deep, 16)):
        assert greys(tiff([chunk], (4, 1), [bits], photometric, order, t259=[compression])) == shades


@pytest.mark.parametrize("bits", [1, 2, 4, 6, 10, 12, 14])
@pytest.mark.parametrize("photometric", [BLACK_IS_ZERO, WHITE_IS_ZERO])
def test_grey_of_odd_depths_has_its_own_full_scale(bits, photometric):
    full = (1 << bits) - 1
    values = [0, full // 3, full // 2, full]
    expected = [round(255 * value / full) for value in values]
    if photometric == WHITE_IS_ZERO:
        expected = [255 - level for level in expected]
    for order in "<>":
        got = greys(tiff([packed(values, bits)], (4, 1), [bits], photometric, order))
        assert np.abs(np.array(got) - expected).max() <= 0


@pytest.mark.parametrize("kind", ["f2", "f4", "f8"])
def test_floats_of_grey_and_colour(kind):
    bits = 8 * int(kind[1])
    for order in "<>":
        values = np.array([0, 0.2, 1.0], f"{order}{kind}").tobytes()
        assert greys(tiff([values], (3, 1), [bits], order=order, t339=[FLOAT])) == [0, 51, 255]
        assert decode(tiff([values], (1, 1), [bits] * 3, RGB, order, t339=[FLOAT] * 3)).tolist() == [[[0, 51, 255]]]


def test_integers_of_four_bytes_and_signs_are_scaled_by_what_they_hold():
    assert greys(tiff([np.array([0, 257 * 7, 65535], "<u4").tobytes()], (3, 1), [32])) == [0, 7, 255]
    assert greys(tiff([np.array([-500, 0, 500], "<i2").tobytes()], (3, 1), [16], t339=[SIGNED])) == [0, 128, 255]
    assert greys(tiff([np.array([-25, 0, 100], "i1").tobytes()], (3, 1), [8], t339=[SIGNED])) == [0, 51, 255]


def test_colour_in_planes_strips_and_tiles():
    pixels = np.random.default_rng(0).integers(0, 256, (40, 24, 3), np.uint8)
    for kind, scale in (("u1", 1), ("<u2", 257)):
        deep, bits = (pixels.astype(np.uint16) * scale).astype(kind), [8 * int(kind[-1])] * 3
        whole = tiff([deep.tobytes()], (24, 40), bits, RGB)
        strips = tiff([deep[i : i + 16].tobytes() for i in (0, 16, 32)], (24, 40), bits, RGB, t278=[16], t259=[DEFLATE])
        planes = tiff([deep[..., i].tobytes() for i in range(3)], (24, 40), bits, RGB, t284=[2], t259=[DEFLATE])
        padded = np.pad(deep, ((0, 8), (0, 8), (0, 0)))
        corners = [(y, x) for y in (0, 16, 32) for x in (0, 16)]
        tiles = [padded[y : y + 16, x : x + 16].tobytes() for y, x in corners]
        tiled = tiff(tiles, (24, 40), bits, RGB, t322=[16], t323=[16])
        for data in (whole, strips, planes, tiled):
            assert np.array_equal(decode(data), pixels)


@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "tiff_adobe_deflate"])
def test_compressed_deep_grey(compression):
    values = np.random.default_rng(1).integers(0, 65536, (30, 20), np.uint16)
    out = io.BytesIO()
    Image.fromarray(values).save(out, "TIFF", compression=compression)
    assert np.array_equal(decode(out.getvalue())[..., 0], np.rint(values / 257))


def test_predictors():
    deep = np.array([[[257, 514, 0], [514, 257, 65535], [771, 0, 0]]], "<u2")
    differences = np.diff(deep, axis=1, prepend=np.zeros_like(deep[:, :1]))
    data = tiff([differences.tobytes()], (3, 1), [16] * 3, RGB, t259=[DEFLATE], t317=[2])
    assert decode(data)[0].tolist() == [[1, 2, 0], [2, 1, 255], [3, 0, 0]]
    floats = np.array([0, 0.2, 1.0], ">f4")
    planes = floats.view(np.uint8).reshape(3, 4).T.reshape(-1)
    differences = np.diff(planes, prepend=np.uint8(0))
    data = tiff([differences.tobytes()], (3, 1), [32], t259=[DEFLATE], t317=[3], t339=[FLOAT])
    assert greys(data) == [0, 51, 255]


def test_alpha_at_every_depth_is_laid_on_white():
    for kind, full in (("u1", 255), ("<u2", 65535)):
        bits = 8 * int(kind[-1])
        colour = np.array([[full, 0, 0, full], [full, 0, 0, 0], [0, 0, 0, full // 5]], kind).tobytes()
        data = tiff([colour], (3, 1), [bits] * 4, RGB, t338=[2])
        assert decode(data)[0].tolist() == [[255, 0, 0], [255] * 3, [204] * 3]
        grey = np.array([[full // 5, full], [0, 0]], kind).tobytes()
        assert greys(tiff([grey], (2, 1), [bits] * 2, t338=[2])) == [51, 255]
        multiplied = np.array([[full // 5, 0, 0, full // 5]], kind).tobytes()  # red at a fifth, times its alpha
        assert decode(tiff([multiplied], (1, 1), [bits] * 4, RGB, t338=[1]))[0, 0].tolist() == [255, 204, 204]


def test_bands_without_a_meaning():
    two = np.array([[257 * 9, 5], [65535, 5]], "<u2").tobytes()
    assert greys(tiff([two], (2, 1), [16] * 2, t338=[0])) == [9, 255]
    infrared = np.array([[257, 514, 771, 65535]], "<u2").tobytes()
    assert decode(tiff([infrared], (1, 1), [16] * 4, RGB, t338=[0]))[0, 0].tolist() == [1, 2, 3]
    for undeclared in ([bytes([1, 2, 3, 0])], [b"\1", b"\2", b"\3", b"\0"]):
        apart = {} if len(undeclared) == 1 else {"t284": [2]}
        for compression in (1, DEFLATE):
            data = tiff(undeclared, (1, 1), [8] * 4, RGB, t259=[compression], **apart)
            assert decode(data)[0, 0].tolist() == [1, 2, 3]
    with pytest.raises(PictureError, match="5 bands that does not say which are red, green and blue"):
        decode(tiff([bytes(5)], (1, 1), [8] * 5, t338=[0] * 4))


def test_palettes_of_eight_and_sixteen_bits():
    for bits in (8, 16):
        colours = np.zeros((3, 1 << bits), int)
        colours[:, 2] = [257 * 10, 257 * 20, 257 * 30]
        index = np.array([2, 0], f"<u{bits // 8}").tobytes()
        data = tiff([index], (2, 1), [bits], PALETTE, t320=colours.ravel().tolist())
        assert decode(data)[0].tolist() == [[10, 20, 30], [0, 0, 0]]


def test_other_colour_spaces():
    deep = np.array([[0, 65535, 0, 0]], "<u2").tobytes()
    for ink, bits in ((bytes([0, 255, 0, 0]), 8), (deep, 16)):
        assert decode(tiff([ink], (1, 1), [bits] * 4, CMYK))[0, 0].tolist() == [255, 0, 255]
    red = (136, 208, 195)  # L* 53.2, a* 80.1, b* 67.2 of sRGB's red, from a* = -128 as 0
    signed, unsigned = bytes([red[0], red[1] ^ 128, red[2] ^ 128]), bytes(red)
    deep = struct.pack("<Hhh", red[0] * 257, (red[1] - 128) * 256, (red[2] - 128) * 256)
    for chunk, bits, photometric in ((signed, 8, LAB), (unsigned, 8, ICC_LAB), (deep, 16, LAB)):
        pixel = decode(tiff([chunk], (1, 1), [bits] * 3, photometric))[0, 0].astype(int)
        assert np.abs(pixel - [255, 0, 0]).max() <= 12


def test_subsampled_colours_without_compression():
    """One block of 2 x 2 brightnesses with one pair of colours, which is the default (TIFF 6.0, section 21)."""
    block = bytes([50, 100, 150, 200, 128, 128])
    pixels = decode(tiff([block], (2, 2), [8] * 3, YCBCR, t530=[2, 2]))
    assert pixels.tolist() == [[[50] * 3, [100] * 3], [[150] * 3, [200] * 3]]


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "I;16"])
def test_a_thumbnail_in_front_is_not_taken_for_the_picture(scene, mode, big):
    shades = np.arange(40 * 48, dtype=np.uint16).reshape(40, 48) * 8
    whole = scene(0, 48, 40) if mode == "RGB" else Image.fromarray(shades)
    thumbnail = scene(1, 12, 10) if mode == "RGB" else Image.fromarray(shades[::4, ::4])
    out = io.BytesIO()
    thumbnail.save(out, "TIFF", save_all=True, append_images=[whole], tiffinfo={254: 1}, big_tiff=big)
    pages = TiffImagePlugin.TiffImageFile(io.BytesIO(out.getvalue()))
    pages.seek(1)
    changed = out.getvalue()
    assert pages.size == (48, 40)
    if pages.tag_v2.get(254):  # Pillow gives all pages the same tags
        place = changed.rindex(struct.pack("<HH", 254, pages.tag_v2.tagtype[254]))
        value = place + (12 if big else 8)
        changed = changed[:value] + bytes(4) + changed[value + 4 :]
    alone = io.BytesIO()
    whole.save(alone, "TIFF")
    assert dimensions(changed) == (48, 40)
    assert (decode(changed) == decode(alone.getvalue())).all()


def test_orientation_of_a_deep_picture():
    values = np.array([[0, 65535], [257, 514], [771, 1028]], "<u2")
    data = tiff([values.tobytes()], (2, 3), [16], t274=[6])
    assert dimensions(data) == (3, 2)
    assert decode(data)[..., 0].tolist() == [[3, 1, 0], [4, 2, 255]]
    assert decode_square(data, 8)[1] == (3, 2)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"photometric": 32844}, "photometric 32844"),
        ({"t259": [34712]}, "compression 34712"),
        ({"photometric": 32803}, "a camera's raw file is not read"),
        ({"t50706": [1, 4, 0, 0]}, "a camera's raw file is not read"),
        ({"photometric": CMYK, "t332": [2]}, "photometric 5"),
    ],
)
def test_kinds_that_are_not_read_are_not_called_damaged(options, reason):
    options = {"photometric": RGB, **options}
    with pytest.raises(PictureError, match=reason) as caught:
        decode(tiff([bytes(8 * 4 * 4)], (4, 4), [16] * 4, **options), "a.tif")
    assert "damaged" not in str(caught.value)
    assert str(caught.value).startswith("a.tif: ")


def test_a_truncated_deep_picture_is_refused():
    deep = np.random.default_rng(0).integers(0, 65536, (16, 16), np.uint16).astype("<u2").tobytes()
    for compression in (1, DEFLATE):
        data = tiff([deep], (16, 16), [16], t259=[compression])
        for share in (0.3, 0.6, 0.95):
            with pytest.raises(PictureError, match=r"ends before|damaged"):
                decode(data[: int(len(data) * share)])


def test_sizes_that_cannot_be_are_refused_before_memory_is_taken():
    for tags in ({"t278": [0]}, {"t322": [0], "t323": [16]}, {"t322": [1 << 30], "t323": [1 << 30]}):
        with pytest.raises(PictureError):
            decode(tiff([bytes(8)], (2, 2), [16], **tags))
    with pytest.raises(PictureError, match="unpacks to more"):
        decode(tiff([bytes(8)], (7000, 7000), [64] * 9, RGB))
