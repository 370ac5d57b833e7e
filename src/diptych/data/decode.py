"""A file's bytes to RGB pixels: upright, complete, of bounded size. The only module that parses picture files.

How each kind of picture is converted:

===================================  =====================================================================
EXIF orientation                     applied
CMYK, YCbCr, LAB                     converted to RGB
palette, 1 bit                       expanded
alpha or a transparent colour        laid on white
animated, several pages              the first frame
16 bits a channel                    rescaled, 0..65535 to 0..255
32-bit integers, floats              0..1, 0..255 or 0..65535, whichever is the first to hold every value;
                                     else stretched from the smallest to the largest value
===================================  =====================================================================

A picture is decoded completely or not at all: anything else is a :class:`~diptych.errors.PictureError`.
"""

import io
import math
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from diptych.errors import Interrupted, PictureError

Geometry = Literal["squash", "crop"]
Pixels = NDArray[np.uint8]

MAX_PIXELS = 50_000_000
#: What 50 million pixels of four 16-bit channels take when nothing is compressed.
MAX_FILE_BYTES = 8 * MAX_PIXELS + 1_000_000
#: A JPEG whose sides are at least so many times the target's is decoded at a reduced size.
MIN_DRAFT_RATIO = 4
#: The one filter for every change of size; Pillow widens it when it shrinks, so that nothing aliases.
RESAMPLING = Image.Resampling.BICUBIC

# Common ones first. Formats that call other programs (EPS) or hold no pictures are left out on purpose.
_FORMATS = (
    *("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "PPM", "JPEG2000", "TGA", "ICO", "DIB"),
    *("PCX", "SGI", "QOI", "PSD", "DDS", "ICNS", "SUN"),
)
# TGA has no signature: any bytes may pass for one, so that its file name decides.
_WITHOUT_SIGNATURE = ("TGA",)
_SUFFIX_NAMES = (
    *("jpg", "jpeg", "jpe", "jfif", "mpo", "png", "apng", "webp", "gif", "bmp", "dib", "tif", "tiff", "avif"),
    *("ppm", "pgm", "pbm", "pnm", "jp2", "j2k", "jpx", "tga", "ico", "pcx", "sgi", "qoi", "psd", "dds", "icns"),
)
#: Suffixes of picture files, in lower case.
PICTURE_SUFFIXES = frozenset(f".{suffix}" for suffix in _SUFFIX_NAMES)
#: A JPEG of up to so many bytes is decoded sooner than Pillow has read its header.
_MAX_PLAIN_JPEG_BYTES = 4096
_JPEG_FRAME_MARKERS = (0xC0, 0xC1, 0xC2)  # baseline, extended, progressive
_JPEG_TABLE_MARKERS = (0xC4, 0xDB, 0xDD, 0xE0, 0xFE)  # also JFIF and comments: nothing that changes the pixels
_JPEG_SCAN_MARKER = 0xDA
_JPEG_MODES = {1: "L", 3: "RGB"}
_TRANSPOSES = {  # that make each EXIF orientation upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION_KEYS = ("exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif")
_TRUNCATED = "the file ends before the picture does"
_DAMAGED = "the file is damaged"


@contextmanager
def silence_pillow() -> Iterator[None]:
    """Suppress Pillow's warnings about unusual files: what matters is raised as a PictureError.

    To be entered by the thread that starts the work, since Python's warning filters belong to the process.
    """
    with warnings.catch_warnings():
        ignore_pillow_warnings()
        yield


def ignore_pillow_warnings() -> None:
    """As :func:`silence_pillow`, but permanently: for generators, which are suspended within their context."""
    warnings.filterwarnings("ignore", module=r"PIL\b")


def decode(data: bytes | memoryview | Image.Image, path: str = "") -> Pixels:
    """Decode one picture at its own size.

    Parameters
    ----------
    data
        The file's bytes, or a picture of Pillow.
    path
        How to name the picture in an error.

    Returns
    -------
    (H, W, 3) uint8, RGB, upright.

    Raises
    ------
    PictureError
        If it is no picture, is truncated or damaged, or holds more than 50 million pixels.
    """
    with _decoding_errors(path):
        picture = data if isinstance(data, Image.Image) else _plain_jpeg(data) or _open_header(data, path)
        _check_size(picture, path)
        picture.load()
        return _pixels(_upright(_rgb(picture), _orientation(picture)))


def decode_square(
    data: bytes | memoryview,
    size: int,
    geometry: Geometry = "squash",
    path: str = "",
    observe: Callable[[Image.Image], None] | None = None,
) -> tuple[Pixels, tuple[int, int]]:
    """Decode one picture as a square of ``size`` pixels a side; see :func:`to_square` for the geometry.

    ``observe`` is called with the whole picture in RGB before it is resized, at its own size or reduced, though not
    under twice ``size``.

    Returns
    -------
    The (size, size, 3) uint8 RGB pixels, and the picture's own upright width and height.
    """
    with _decoding_errors(path):
        picture, draft = _plain_jpeg(data, MIN_DRAFT_RATIO * size) or _open_header(data, path), None
        dimensions = _upright_size(picture)
        if picture.format in ("JPEG", "MPO") and min(picture.size) >= MIN_DRAFT_RATIO * size:
            # A JPEG can be decoded at 1/2, 1/4 or 1/8: still at least twice the target, so the resize decides.
            draft = picture.draft(None, (2 * size, 2 * size))
        picture.load()
        # Of a side that 8 does not divide, the last pixel of a draft is part padding: the extent leaves it out.
        extent = draft[1][2:] if draft else picture.size
        rgb = _rgb(picture)
        if observe is not None:
            observe(rgb)
        resized = _resize_square(rgb, size, geometry, extent)
        return _pixels(_upright(resized, _orientation(picture))), dimensions


def dimensions(data: bytes | memoryview, path: str = "") -> tuple[int, int]:
    """Width and height of a picture when upright, from its header alone."""
    with _decoding_errors(path):
        return _upright_size(_open_header(data, path))


def to_square(picture: Image.Image | Pixels, size: int, geometry: Geometry = "squash") -> Pixels:
    """Resize to (size, size, 3): the whole picture ("squash") or its largest centred square ("crop")."""
    if isinstance(picture, np.ndarray):
        if picture.shape == (size, size, 3):
            return picture
        picture = Image.fromarray(picture)
    return _pixels(_resize_square(picture, size, geometry, picture.size))


def has_picture_signature(prefix: bytes) -> bool:
    """Whether a file that begins with these 16 bytes has the signature of a known format."""
    return next(_candidate_formats(prefix, ""), None) is not None


@contextmanager
def _decoding_errors(path: str) -> Iterator[None]:
    """Turn whatever a decoder raises on hostile or broken bytes into a PictureError."""
    try:
        yield
    except (PictureError, Interrupted):
        raise
    except MemoryError:
        raise PictureError("there is not enough memory to decode it", path) from None
    except Exception as error:
        truncated = isinstance(error, EOFError) or "truncat" in str(error).lower()
        raise PictureError(_TRUNCATED if truncated else _DAMAGED, path) from error


def _candidate_formats(prefix: bytes, path: str) -> Iterator[str]:
    """Formats whose signature a file that begins with these bytes has."""
    if _FORMATS[0] not in Image.OPEN or _FORMATS[-1] not in Image.OPEN:
        Image.init()
    for name in _FORMATS:
        if name in _WITHOUT_SIGNATURE and not path.lower().endswith(f".{name.lower()}"):
            continue
        if name in Image.OPEN:
            accept = Image.OPEN[name][1]
            with suppress(struct.error, IndexError):  # what fewer than 16 bytes do to some of them
                if accept is None or accept(prefix) is True:
                    yield name


def _open_header(data: bytes | memoryview, path: str) -> ImageFile.ImageFile:
    """Read the header, and no more. Not ``Image.open``, whose own limit warns or explains less than ours."""
    if not len(data):
        raise PictureError("the file is empty", path)
    has_signature = False
    for name in _candidate_formats(bytes(data[:16]), path):
        has_signature = has_signature or name not in _WITHOUT_SIGNATURE
        try:
            picture = Image.OPEN[name][0](io.BytesIO(data), "")
        except (SyntaxError, IndexError, TypeError, struct.error):  # a plugin's ways to reject a file
            continue
        _check_size(picture, path)
        _check_complete(data, picture, path)
        return picture
    if has_signature:
        raise PictureError("the file is damaged, or ends within its header", path)
    raise PictureError("not a picture, or not of a kind that can be read", path)


def _plain_jpeg(data: bytes | memoryview, below: float = math.inf) -> Image.Image | None:
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


def _check_size(picture: Image.Image, path: str) -> None:
    width, height = picture.size
    if width < 1 or height < 1:
        raise PictureError("the picture has no pixels", path)
    if width * height > MAX_PIXELS:
        millions = f"{width * height / 1e6:.1f}".removesuffix(".0")
        limit = MAX_PIXELS // 1_000_000
        raise PictureError(f"{millions} million pixels; the limit is {limit} million", path)


def _check_complete(data: bytes | memoryview, picture: ImageFile.ImageFile, path: str) -> None:
    """Refuse what the decoders would pad silently, as when a broken download left zeros for the rest."""
    if picture.format == "PNG":
        _check_png(data, path)
    padded = picture.format == "JPEG" and bytes(data[-32:]) == bytes(32)
    if padded and not bytes(data).rstrip(b"\0").endswith(b"\xff\xd9"):
        raise PictureError(_TRUNCATED, path)


def _check_png(data: bytes | memoryview, path: str) -> None:
    """Compare the checksum of every chunk of pixels, which Pillow does not."""
    start = 8
    while start + 8 <= len(data):
        length = int.from_bytes(data[start : start + 4])
        end = start + 12 + length
        if bytes(data[start + 4 : start + 8]) == b"IDAT":
            if end > len(data):
                raise PictureError(_TRUNCATED, path)
            if zlib.crc32(data[start + 4 : end - 4]) != int.from_bytes(data[end - 4 : end]):
                raise PictureError(_DAMAGED, path)
        start = end


def _orientation(picture: Image.Image) -> int:
    """EXIF's orientation, 1 to 8; 1 for a TIFF, which Pillow turns by itself."""
    if picture.format == "TIFF" or not any(key in picture.info for key in _ORIENTATION_KEYS):
        return 1
    try:
        return int(picture.getexif().get(0x0112, 1))
    except Interrupted:
        raise
    except Exception:  # broken metadata does not make the picture unreadable
        return 1


def _upright_size(picture: Image.Image) -> tuple[int, int]:
    width, height = picture.size
    return (height, width) if _orientation(picture) in (5, 6, 7, 8) else (width, height)


def _upright(picture: Image.Image, orientation: int) -> Image.Image:
    """Apply the EXIF orientation."""
    return picture.transpose(_TRANSPOSES[orientation]) if orientation in _TRANSPOSES else picture


def _resize_square(picture: Image.Image, size: int, geometry: Geometry, extent: tuple[float, float]) -> Image.Image:
    """Resize to a square the part within ``extent``, (width, height) from the upper left corner."""
    width, height = extent
    if (width, height) == picture.size == (size, size):
        return picture
    if geometry == "squash":
        return _resize_box(picture, size, (0, 0, width, height))
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    if extent == picture.size:
        left, top = int(left), int(top)  # whole pixels, so that a crop alone changes none
    return _resize_box(picture, size, (left, top, left + side, top + side))


def _resize_box(picture: Image.Image, size: int, box: tuple[float, float, float, float]) -> Image.Image:
    """Resize a box across, then down: Pillow 13 would choose the order by the shape, and so change the pixels."""
    left, top, right, bottom = box
    across = picture.resize((size, picture.height), RESAMPLING, (left, 0, right, picture.height))
    return across.resize((size, size), RESAMPLING, (0, top, size, bottom))


def _rgb(picture: Image.Image) -> Image.Image:
    mode = picture.mode
    if mode == "RGB" and "transparency" not in picture.info:
        return picture
    if mode.startswith("I") or mode == "F":
        return Image.fromarray(_grey_to_uint8(picture)).convert("RGB")
    if mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info:
        picture = picture.convert("LA") if mode == "La" else picture
        picture = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    return picture.convert("RGB")


def _grey_to_uint8(picture: Image.Image) -> Pixels:
    """Grey values of more than 8 bits to (H, W) uint8, rescaled by the rule in this module's table."""
    values = np.asarray(picture).astype(np.float64)
    values[~np.isfinite(values)] = 0.0
    low, high = float(values.min()), float(values.max())
    if picture.mode.startswith("I;16") or picture.format in ("PNG", "PPM"):
        low, high = 0.0, 65535.0
    elif low >= 0.0 and high <= 65535.0:
        is_float = picture.mode == "F"
        low, high = 0.0, 1.0 if is_float and high <= 1.0 else 255.0 if high <= 255.0 else 65535.0
    scaled = (values - low) * (255.0 / (high - low or 1.0))
    return np.rint(scaled).astype(np.uint8)


def _pixels(picture: Image.Image) -> Pixels:
    return np.asarray(picture, dtype=np.uint8)
