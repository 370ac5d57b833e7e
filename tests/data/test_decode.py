import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from diptych.data.decode import decode, decode_square, dimensions, silence_pillow, to_square
from diptych.errors import PictureError


def encoded(picture, kind="PNG", **options):
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def huge_png(side):
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "GIF", "PPM", "TGA"])
def test_lossless_formats_keep_every_pixel(scene, kind):
    picture = scene(0).quantize(64).convert("RGB")
    assert np.array_equal(decode(encoded(picture, kind), f"a.{kind}"), np.asarray(picture))


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "AVIF", "JPEG2000"])
def test_lossy_formats_come_close(scene, kind):
    picture = scene(0)
    difference = decode(encoded(picture, kind)).astype(int) - np.asarray(picture)
    assert np.abs(difference).mean() < 6


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"])
def test_exif_orientation_is_applied(orientation, kind):
    upright = np.zeros((40, 64, 3), np.uint8)
    upright[:20, :32] = (255, 0, 0)
    upright[:20, 32:] = (0, 255, 0)
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the Transpose that each orientation needs, undone
    stored = Image.fromarray(upright)
    if orientation > 1:
        stored = stored.transpose(Image.Transpose(undo[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(stored, kind, exif=exif.tobytes(), **({"lossless": True} if kind == "WEBP" else {}))
    assert np.abs(decode(data).astype(int) - upright).mean() < 8
    pixels, size = decode_square(data, 16)
    assert size == (64, 40) == dimensions(data)
    assert np.abs(pixels.astype(int) - to_square(upright, 16)).mean() < 8


def test_alpha_is_laid_on_white():
    rgba = np.zeros((2, 2, 4), np.uint8)
    rgba[0, 0] = (10, 20, 30, 255)
    rgba[0, 1] = (10, 20, 30, 0)
    assert decode(encoded(Image.fromarray(rgba)))[0].tolist() == [[10, 20, 30], [255, 255, 255]]
    grey = Image.new("LA", (2, 1))
    grey.putpixel((0, 0), (40, 255))
    assert decode(encoded(grey))[0].tolist() == [[40] * 3, [255] * 3]


def test_palettes_with_and_without_transparency():
    picture = Image.new("P", (2, 1))
    picture.putpalette([200, 0, 0, 0, 0, 200])
    picture.putpixel((1, 0), 1)
    assert decode(encoded(picture))[0].tolist() == [[200, 0, 0], [0, 0, 200]]
    assert decode(encoded(picture, transparency=1))[0].tolist() == [[200, 0, 0], [255, 255, 255]]
    assert decode(encoded(picture, "GIF", transparency=0))[0].tolist() == [[255, 255, 255], [0, 0, 200]]


def test_transparent_colour_of_rgb_and_grey():
    assert decode(encoded(Image.new("RGB", (1, 1), (1, 2, 3)), transparency=(1, 2, 3)))[0, 0].tolist() == [255] * 3
    assert decode(encoded(Image.new("L", (1, 1), 9), transparency=9))[0, 0].tolist() == [255] * 3


def test_one_bit_is_black_and_white():
    picture = Image.new("1", (2, 1))
    picture.putpixel((1, 0), 1)
    assert decode(encoded(picture))[0].tolist() == [[0] * 3, [255] * 3]


@pytest.mark.parametrize(("dtype", "kind"), [("<u2", "PNG"), ("<u2", "TIFF"), (">u2", "TIFF"), ("<u2", "PPM")])
def test_sixteen_bits_are_rescaled_not_clipped(dtype, kind):
    values = np.array([[0, 257 * 40, 257 * 128, 65535]], dtype)
    assert decode(encoded(Image.fromarray(values), kind))[0, :, 0].tolist() == [0, 40, 128, 255]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 128, 255]], np.int32), [0, 128, 255]),
        (np.array([[0, 257 * 7, 65535]], np.int32), [0, 7, 255]),
        (np.array([[-1000, 0, 1000]], np.int32), [0, 128, 255]),
        (np.array([[0.0, 0.2, 1.0]], np.float32), [0, 51, 255]),
        (np.array([[0.0, 200.0, 255.0]], np.float32), [0, 200, 255]),
        (np.array([[-3.0, np.nan, 3.0]], np.float32), [0, 128, 255]),
        (np.array([[5e8, 5e8, 5e8]], np.float32), [0, 0, 0]),
    ],
)
def test_deep_grey_is_rescaled(values, expected):
    assert decode(encoded(Image.fromarray(values), "TIFF"))[0, :, 0].tolist() == expected


def test_sixteen_bit_colour():
    row = struct.pack(">BHHH", 0, 65535, 128 * 257, 0)
    header = struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(row)) + chunk(b"IEND", b"")
    assert decode(data)[0, 0].tolist() == [255, 128, 0]


def test_cmyk_jpeg_is_not_inverted(scene):
    picture = scene(3)
    assert np.abs(decode(encoded(picture.convert("CMYK"), "JPEG", quality=95)).astype(int) - picture).mean() < 6
    white = decode(encoded(Image.new("CMYK", (8, 8), (0, 0, 0, 0)), "TIFF"))
    assert (white == 255).all()


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF", "MPO"])
def test_the_first_frame_of_several(scene, kind):
    frames = [scene(i) for i in range(3)]
    lossless = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **lossless)
    limit = 14 if kind in ("GIF", "MPO") else 0
    assert np.abs(decode(data).astype(int) - np.asarray(frames[0])).mean() <= limit


def test_other_colour_spaces_become_rgb():
    grey = Image.new("LAB", (4, 4), (128, 128, 128))
    assert np.abs(decode(encoded(grey, "TIFF")).astype(int) - 119).max() <= 2
    assert (decode(encoded(Image.new("YCbCr", (4, 4), (90, 128, 128)), "TIFF")) == 90).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "AVIF", "PPM", "JPEG2000"])
def test_a_truncated_file_is_decoded_whole_or_refused(scene, kind):
    data = encoded(scene(0, 64, 64), kind)
    whole = decode(data)
    with silence_pillow():
        for share in np.linspace(0.01, 0.999, 40):
            truncated = data[: max(1, int(len(data) * share))]
            try:
                assert np.array_equal(decode(truncated), whole)
            except PictureError as error:
                assert error.reason  # noqa: PT017 - either is right, half a picture is not


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b"These are words, not a picture.", "not a picture"),
        (b"\xff\xd8\xff\xe0" + b"words" * 9, "damaged|ends"),
        (huge_png(20_000), "400 million pixels; the limit is 50 million"),
        (huge_png(7_100), "50.4 million pixels; the limit is 50 million"),
    ],
)
def test_errors_give_the_reason_in_words(data, reason):
    with pytest.raises(PictureError, match=reason) as caught:
        decode(data, "pets/a.jpg")
    assert str(caught.value).startswith("pets/a.jpg: ")
    with pytest.raises(PictureError):
        dimensions(data)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_the_error_of_a_truncated_file_says_so(scene, kind):
    data = encoded(scene(0, 90, 90), kind)
    for damaged in (data[: len(data) * 2 // 3], data[: len(data) // 2] + bytes(len(data) - len(data) // 2)):
        with pytest.raises(PictureError, match=r"ends before the picture does|damaged"):
            decode(damaged)


def test_zeros_behind_the_end_are_ignored(scene):
    data = encoded(scene(0), "JPEG")
    assert np.array_equal(decode(data + bytes(100)), decode(data))


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (3, 700)])
@pytest.mark.parametrize("geometry", ["squash", "crop"])
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_odd_shapes(size, geometry, kind):
    pixels, own = decode_square(encoded(Image.new("RGB", size, (200, 100, 50)), kind), 32, geometry)
    assert own == size
    assert pixels.shape == (32, 32, 3)
    assert np.abs(pixels.astype(int) - (200, 100, 50)).max() <= 4


def test_crop_keeps_the_centre_and_squash_the_whole():
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, 10:20] = 255
    assert (to_square(wide, 10, "crop") == 255).all()
    assert 0.3 < to_square(wide, 10, "squash").mean() / 255 < 0.37


def test_shrinking_does_not_alias():
    lines = np.zeros((256, 256, 3), np.uint8)
    lines[:, ::2] = 255
    assert np.abs(to_square(lines, 16).astype(int) - 127).max() <= 3


def test_a_large_jpeg_decoded_at_reduced_size_is_close_to_a_full_decode(scene):
    data = encoded(scene(0, 900, 700), "JPEG", quality=95)
    for geometry in ("squash", "crop"):
        fast, own = decode_square(data, 32, geometry)
        assert own == (900, 700)
        assert np.abs(fast.astype(int) - to_square(decode(data), 32, geometry)).mean() < 2


def test_a_resize_goes_across_before_it_goes_down_whatever_the_shape() -> None:
    tall = np.random.default_rng(0).integers(0, 2, (300, 40, 3)).astype(np.uint8) * 255
    picture = Image.fromarray(tall)
    expected = picture.resize((32, 300), Image.Resampling.BICUBIC).resize((32, 32), Image.Resampling.BICUBIC)
    assert np.array_equal(to_square(picture, 32), np.asarray(expected))


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"comment": b"by hand"}])
def test_a_small_jpeg_has_the_pixels_that_pillow_decodes(scene, mode, options):
    data = encoded(scene(0).resize((32, 32)).convert(mode), "JPEG", quality=90, **options)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert len(data) < 4096
    assert (decode(data) == expected).all()
    assert (decode_square(memoryview(data), 32)[0] == expected).all()
