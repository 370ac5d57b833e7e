"""Bytes to RGB pixels: upright, bounded, whole. The only place where a file's bytes are trusted.

Every kind of picture has one stated meaning here:

===================================  =====================================================================
EXIF orientation                     applied
CMYK, YCbCr, LAB                     converted to RGB
palette, 1 bit                       expanded
alpha or a transparent colour        laid on white
animated, several pages              the first frame
16 bits a channel                    rescaled, 0..65535 -> 0..255
32-bit integers, floats              0..1, 0..255 or 0..65535, whichever is the first to hold every value;
                                     else stretched from the smallest to the largest value
===================================  =====================================================================

A picture is decoded whole or not at all: anything else is a :class:`~diptych.errors.PictureError`.
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

PIXEL_LIMIT = 50_000_000
#: What 50 million pixels of four 16-bit channels take when nothing is compressed.
BYTE_LIMIT = 8 * PIXEL_LIMIT + 1_000_000
#: So many times the target's side, and a JPEG is decoded at a part of its size.
DRAFTED = 4
#: The one filter for every change of size; Pillow widens it when it shrinks, so that nothing aliases.
FILTER = Image.Resampling.BICUBIC

# Common first. Formats that call other programs (EPS) or are no pictures for people are left out on purpose.
_FORMATS = (
    *("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "PPM", "JPEG2000", "TGA", "ICO", "DIB"),
    *("PCX", "SGI", "QOI", "PSD", "DDS", "ICNS", "SUN"),
)
# TGA has no signature: any bytes may pass for one, so that it needs its file name to be believed.
_UNSIGNED = ("TGA",)
_SUFFIXES = (
    *("jpg", "jpeg", "jpe", "jfif", "mpo", "png", "apng", "webp", "gif", "bmp", "dib", "tif", "tiff", "avif"),
    *("ppm", "pgm", "pbm", "pnm", "jp2", "j2k", "jpx", "tga", "ico", "pcx", "sgi", "qoi", "psd", "dds", "icns"),
)
#: What the names of pictures end in.
SUFFIXES = frozenset(f".{suffix}" for suffix in _SUFFIXES)
#: A JPEG of so many bytes is decoded sooner than Pillow has read its header.
_SMALL = 4096
_FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended, progressive
_TABLES = (0xC4, 0xDB, 0xDD, 0xE0, 0xFE)  # and JFIF's name, and a comment: nothing that a decoder must be told
_SCAN = 0xDA
_LAYERS = {1: "L", 3: "RGB"}
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTED_BY = ("exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif")
_CUT = "the file ends before the picture does"
_DAMAGED = "the file is damaged"


@contextmanager
def silence_pillow() -> Iterator[None]:
    """Keep Pillow's warnings about odd files from the person: what matters is raised as a PictureError.

    To be entered by the thread that starts the work, since Python's warning filters belong to the process.
    """
    with warnings.catch_warnings():
        silence_pillow_for_good()
        yield


def silence_pillow_for_good() -> None:
    """As :func:`silence_pillow`, for work that goes on between other work and so has no context to leave."""
    warnings.filterwarnings("ignore", module=r"PIL\b")


def decode(data: bytes | memoryview, path: str = "") -> Pixels:
    """Decode one picture at its own size.

    Parameters
    ----------
    data
        The file's bytes.
    path
        How to name the picture in an error.

    Returns
    -------
    (H, W, 3) uint8, RGB, upright.

    Raises
    ------
    PictureError
        If it is no picture, is cut off or damaged, or holds more than 50 million pixels.
    """
    with _explained(path):
        picture = _plain_jpeg(data) or _opened(data, path)
        picture.load()
        return _pixels(_turned(_rgb(picture), _orientation(picture)))


def decode_square(
    data: bytes | memoryview,
    size: int,
    geometry: Geometry = "squash",
    path: str = "",
    look: Callable[[Image.Image], None] | None = None,
) -> tuple[Pixels, tuple[int, int]]:
    """Decode one picture as a square of ``size`` pixels a side; see :func:`square` for the geometry.

    ``look`` is shown the whole picture in RGB before it is resized, at its own size or reduced, though not under
    twice ``size``.

    Returns
    -------
    The (size, size, 3) uint8 RGB pixels, and the picture's own upright width and height.
    """
    with _explained(path):
        picture, drafted = _plain_jpeg(data, DRAFTED * size) or _opened(data, path), None
        dimensions = _upright_size(picture)
        if picture.format in ("JPEG", "MPO") and min(picture.size) >= DRAFTED * size:
            # A JPEG can be decoded at 1/2, 1/4 or 1/8: still at least twice the target, so the resize decides.
            drafted = picture.draft(None, (2 * size, 2 * size))
        picture.load()
        # Of a side that 8 does not divide, the last pixel of a draft is part padding: the extent leaves it out.
        extent = drafted[1][2:] if drafted else picture.size
        rgb = _rgb(picture)
        if look is not None:
            look(rgb)
        resized = _resized(rgb, size, geometry, extent)
        return _pixels(_turned(resized, _orientation(picture))), dimensions


def dimensions(data: bytes | memoryview, path: str = "") -> tuple[int, int]:
    """Width and height of a picture when upright, from its header alone."""
    with _explained(path):
        return _upright_size(_opened(data, path))


def square(picture: Image.Image | Pixels, size: int, geometry: Geometry = "squash") -> Pixels:
    """Resize to (size, size, 3): the whole picture ("squash") or its largest centred square ("crop")."""
    if isinstance(picture, np.ndarray):
        if picture.shape == (size, size, 3):
            return picture
        picture = Image.fromarray(picture)
    return _pixels(_resized(picture, size, geometry, picture.size))


def looks_like_a_picture(prefix: bytes) -> bool:
    """Whether a file that begins with these 16 bytes has the signature of a known format."""
    return next(_candidates(prefix, ""), None) is not None


@contextmanager
def _explained(path: str) -> Iterator[None]:
    """Put whatever a decoder throws at hostile or broken bytes into words."""
    try:
        yield
    except (PictureError, Interrupted):
        raise
    except MemoryError:
        raise PictureError("there is not enough memory to decode it", path) from None
    except Exception as error:
        cut = isinstance(error, EOFError) or "truncat" in str(error).lower()
        raise PictureError(_CUT if cut else _DAMAGED, path) from error


def _candidates(prefix: bytes, path: str) -> Iterator[str]:
    if _FORMATS[0] not in Image.OPEN or _FORMATS[-1] not in Image.OPEN:
        Image.init()
    for name in _FORMATS:
        if name in _UNSIGNED and not path.lower().endswith(f".{name.lower()}"):
            continue
        if name in Image.OPEN:
            accept = Image.OPEN[name][1]
            with suppress(struct.error, IndexError):  # what fewer than 16 bytes do to some of them
                if accept is None or accept(prefix) is True:
                    yield name


def _opened(data: bytes | memoryview, path: str) -> ImageFile.ImageFile:
    """Read the header, and no more. Not ``Image.open``, whose own limit warns or says less than ours."""
    if not len(data):
        raise PictureError("the file is empty", path)
    known = False
    for name in _candidates(bytes(data[:16]), path):
        known = known or name not in _UNSIGNED
        try:
            picture = Image.OPEN[name][0](io.BytesIO(data), "")
        except (SyntaxError, IndexError, TypeError, struct.error):  # how a plugin says "not mine"
            continue
        _check_size(picture, path)
        _check_end(data, picture, path)
        return picture
    if known:
        raise PictureError("the file is damaged, or ends within its header", path)
    raise PictureError("not a picture, or not of a kind that can be read", path)


def _plain_jpeg(data: bytes | memoryview, below: float = math.inf) -> Image.Image | None:
    """Decode a small JPEG by Pillow's decoder alone, without its reading of the header; ``None`` for any other file.

    Small, with no metadata, whole, and of a shorter side under ``below``: the pixels are those of :func:`_opened`.
    """
    if len(data) > _SMALL or bytes(data[:2]) != b"\xff\xd8" or bytes(data[-2:]) != b"\xff\xd9":
        return None
    data, at, shape = bytes(data), 2, None
    while at + 10 < len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _FRAMES:
            bits, height, width, layers = struct.unpack_from(">BHHB", data, at + 4)
            shape = _LAYERS.get(layers) if bits == 8 else None, (width, height)
        elif marker not in _TABLES:
            break
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
    if shape is None or data[at : at + 2] != bytes((0xFF, _SCAN)):
        return None
    mode, size = shape
    if mode is None or not 0 < min(size) < below or size[0] * size[1] > PIXEL_LIMIT:
        return None
    with suppress(ValueError):  # damaged: the other way says how
        return Image.frombytes(mode, size, data, "jpeg", mode, "")
    return None


def _check_size(picture: ImageFile.ImageFile, path: str) -> None:
    width, height = picture.size
    if width < 1 or height < 1:
        raise PictureError("the picture has no pixels", path)
    if width * height > PIXEL_LIMIT:
        millions = f"{width * height / 1e6:.1f}".removesuffix(".0")
        limit = PIXEL_LIMIT // 1_000_000
        raise PictureError(f"{millions} million pixels; the limit is {limit} million", path)


def _check_end(data: bytes | memoryview, picture: ImageFile.ImageFile, path: str) -> None:
    """Refuse what the decoders would fill up silently, as when a broken download left zeros for the rest."""
    if picture.format == "PNG":
        _check_png(data, path)
    padded = picture.format == "JPEG" and bytes(data[-32:]) == bytes(32)
    if padded and not bytes(data).rstrip(b"\0").endswith(b"\xff\xd9"):
        raise PictureError(_CUT, path)


def _check_png(data: bytes | memoryview, path: str) -> None:
    """Compare the checksum of every chunk of pixels, which Pillow does not."""
    start = 8
    while start + 8 <= len(data):
        length = int.from_bytes(data[start : start + 4])
        end = start + 12 + length
        if bytes(data[start + 4 : start + 8]) == b"IDAT":
            if end > len(data):
                raise PictureError(_CUT, path)
            if zlib.crc32(data[start + 4 : end - 4]) != int.from_bytes(data[end - 4 : end]):
                raise PictureError(_DAMAGED, path)
        start = end


def _orientation(picture: Image.Image) -> int:
    """EXIF's orientation, 1 to 8; 1 for a TIFF, which Pillow turns by itself."""
    if picture.format == "TIFF" or not any(key in picture.info for key in _ORIENTED_BY):
        return 1
    try:
        return int(picture.getexif().get(0x0112, 1))
    except Interrupted:
        raise
    except Exception:  # broken metadata must not cost the picture
        return 1


def _upright_size(picture: Image.Image) -> tuple[int, int]:
    width, height = picture.size
    return (height, width) if _orientation(picture) in (5, 6, 7, 8) else (width, height)


def _turned(picture: Image.Image, orientation: int) -> Image.Image:
    """Turn upright what EXIF says is stored otherwise."""
    return picture.transpose(_TURNS[orientation]) if orientation in _TURNS else picture


def _resized(picture: Image.Image, size: int, geometry: Geometry, extent: tuple[float, float]) -> Image.Image:
    """Resize to a square what lies within ``extent``, (width, height) from the upper left corner."""
    width, height = extent
    if (width, height) == picture.size == (size, size):
        return picture
    if geometry == "squash":
        return _shrunk(picture, size, (0, 0, width, height))
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    if extent == picture.size:
        left, top = int(left), int(top)  # whole pixels, so that a crop alone changes none
    return _shrunk(picture, size, (left, top, left + side, top + side))


def _shrunk(picture: Image.Image, size: int, box: tuple[float, float, float, float]) -> Image.Image:
    """Resize a box across, then down. Pillow 13 would choose the order, by the shape, and so change the pixels."""
    left, top, right, bottom = box
    across = picture.resize((size, picture.height), FILTER, (left, 0, right, picture.height))
    return across.resize((size, size), FILTER, (0, top, size, bottom))


def _rgb(picture: Image.Image) -> Image.Image:
    mode = picture.mode
    if mode == "RGB" and "transparency" not in picture.info:
        return picture
    if mode.startswith("I") or mode == "F":
        return Image.fromarray(_deep(picture)).convert("RGB")
    if mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info:
        picture = picture.convert("LA") if mode == "La" else picture
        picture = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    return picture.convert("RGB")


def _deep(picture: Image.Image) -> Pixels:
    """Grey values deeper than 8 bits -> (H, W) uint8, rescaled by the rule in this module's table."""
    values = np.asarray(picture).astype(np.float64)
    values[~np.isfinite(values)] = 0.0
    low, high = float(values.min()), float(values.max())
    if picture.mode.startswith("I;16") or picture.format in ("PNG", "PPM"):
        low, high = 0.0, 65535.0
    elif low >= 0.0 and high <= 65535.0:
        floats = picture.mode == "F"
        low, high = 0.0, 1.0 if floats and high <= 1.0 else 255.0 if high <= 255.0 else 65535.0
    scaled = (values - low) * (255.0 / (high - low or 1.0))
    return np.rint(scaled).astype(np.uint8)


def _pixels(picture: Image.Image) -> Pixels:
    return np.asarray(picture, dtype=np.uint8)
