"""A file's bytes to RGB pixels: upright, complete, of bounded size. With ``decoding/``, all that parses picture files.

How each kind of picture is converted:

===================================  =========================================================================
EXIF orientation                     applied
CMYK, YCbCr, LAB                     converted to RGB
an embedded ICC profile              applied, to sRGB, unless it is broken or about other colours
palette, 1 bit                       expanded
alpha or a transparent colour        laid on white; a band that is not said to be alpha is none
animated, several pages              the first frame
up to 16 bits a channel              rescaled by the full scale of the depth to 0..255; white is zero where TIFF
                                     says so
signed or longer integers, floats    0..1, 0..255 or 0..65535, whichever is the first to hold every value;
                                     else stretched from the smallest to the largest value
bands beside the colours             one is passed over; several beside grey are refused
===================================  =========================================================================

A picture is decoded completely or not at all: anything else is a :class:`~diptych.errors.PictureError`.
"""

import io
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from diptych.data.decoding.colour import Ground, to_rgb
from diptych.data.decoding.completeness import DAMAGED, TRUNCATED, check_complete, lacks_rows
from diptych.data.decoding.jpeg import END_MARKER, check_scans, lacks_data, plain_jpeg, why_jpeg_unread
from diptych.data.decoding.kinds import (
    RAW_REASON,
    SIGNATURE_BYTES,
    WITHOUT_SIGNATURE,
    candidate_formats,
    is_raw,
    why_unread,
)
from diptych.data.decoding.limits import MAX_PIXELS
from diptych.data.decoding.png import key_alpha
from diptych.data.decoding.psd import open_psd
from diptych.data.decoding.tiff import open_tiff
from diptych.errors import Interrupted, PictureError

Geometry = Literal["squash", "crop"]
Pixels = NDArray[np.uint8]

#: A JPEG whose sides are at least so many times the target's is decoded at a reduced size.
MIN_DRAFT_RATIO = 4
#: The one filter for every change of size; Pillow widens it when it shrinks, so that nothing aliases.
RESAMPLING = Image.Resampling.BICUBIC

_OPENERS = {"TIFF": open_tiff, "PSD": open_psd}  # of formats that Pillow understands in part
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


def decode(data: bytes | memoryview | Image.Image, path: str = "", ground: Ground = "white") -> Pixels:
    """Decode one picture at its own size.

    Parameters
    ----------
    data
        The file's bytes, or a picture of Pillow.
    path
        How to name the picture in an error.
    ground
        What a picture with transparent parts is laid on.

    Returns
    -------
    (H, W, 3) uint8, RGB, upright.

    Raises
    ------
    PictureError
        If it is no picture, is truncated or damaged, or holds more than 50 million pixels.
    """
    with _decoding_errors(path):
        if isinstance(data, Image.Image):
            _check_size(data, path)
            data.load()
            return _pixels(_upright(to_rgb(data, ground=ground), _orientation(data)))
        if plain := plain_jpeg(data):
            return _pixels(to_rgb(plain))
        picture = _open_header(data, path)
        return _pixels(_upright(_load_rgb(picture, data, path, ground), _orientation(picture)))


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
        if plain := plain_jpeg(data, MIN_DRAFT_RATIO * size):
            rgb = to_rgb(plain)
            if observe is not None:
                observe(rgb)
            return _pixels(_resize_square(rgb, size, geometry, rgb.size)), rgb.size
        picture, draft = _open_header(data, path), None
        dimensions = _upright_size(picture)
        if picture.format in ("JPEG", "MPO") and min(picture.size) >= MIN_DRAFT_RATIO * size:
            # A JPEG can be decoded at 1/2, 1/4 or 1/8: still at least twice the target, so the resize decides.
            draft = picture.draft(None, (2 * size, 2 * size))
        rgb = _load_rgb(picture, data, path)
        # Of a side that 8 does not divide, the last pixel of a draft is part padding: the extent leaves it out.
        extent = draft[1][2:] if draft else picture.size
        if observe is not None:
            observe(rgb)
        resized = _resize_square(rgb, size, geometry, extent)
        return _pixels(_upright(resized, _orientation(picture))), dimensions


def check_file(data: bytes | memoryview, path: str = "") -> None:
    """Refuse what is no whole picture by its header and its end, without decoding it. Raises PictureError."""
    with _decoding_errors(path):
        picture = _open_header(data, path)
        if picture.format in ("JPEG", "MPO") and END_MARKER not in bytes(data):
            raise PictureError(TRUNCATED, path)


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


@contextmanager
def _decoding_errors(path: str) -> Iterator[None]:
    """Turn whatever a decoder raises on hostile or broken bytes into a PictureError."""
    try:
        yield
    except Interrupted:
        raise
    except PictureError as error:
        raise error if error.path else PictureError(error.reason, path) from error
    except MemoryError:
        raise PictureError("there is not enough memory to decode it", path) from None
    except Exception as error:
        truncated = isinstance(error, EOFError) or "truncat" in str(error).lower()
        raise PictureError(TRUNCATED if truncated else DAMAGED, path) from error


def _open_header(data: bytes | memoryview, path: str) -> ImageFile.ImageFile:
    """Read the header, and no more. Not ``Image.open``, whose own limit warns or explains less than ours."""
    if not len(data):
        raise PictureError("the file is empty", path)
    prefix, has_signature = bytes(data[:SIGNATURE_BYTES]), False
    for name in candidate_formats(prefix, path):
        has_signature = has_signature or name not in WITHOUT_SIGNATURE
        if name == "TIFF" and is_raw(prefix, path):
            raise PictureError(RAW_REASON, path)
        try:
            opener = _OPENERS.get(name)
            picture = opener(data) if opener else Image.OPEN[name][0](io.BytesIO(data), "")
        except (SyntaxError, IndexError, TypeError, struct.error):  # a plugin's ways to reject a file
            continue
        _check_size(picture, path)
        if name in ("JPEG", "MPO"):
            check_scans(data)
        check_complete(data, picture, path)
        return picture
    if reason := why_unread(prefix, path) or (why_jpeg_unread(data) if prefix[:2] == b"\xff\xd8" else None):
        raise PictureError(reason, path)
    if has_signature:
        raise PictureError("the file is damaged, or ends within its header", path)
    raise PictureError("not a picture, or not of a kind that can be read", path)


def _load_rgb(picture: Image.Image, data: bytes | memoryview, path: str, ground: Ground = "white") -> Image.Image:
    """Decode a picture whose header was read to RGB, and refuse what is not whole."""
    is_jpeg = bytes(data[:2]) == b"\xff\xd8"
    try:
        picture.load()
    except OSError as error:
        if is_jpeg and (reason := why_jpeg_unread(data)):
            raise PictureError(reason, path) from error
        raise
    if (is_jpeg and lacks_data(data, picture)) or lacks_rows(data, picture):
        raise PictureError(TRUNCATED, path)
    return to_rgb(picture, key_alpha(data, picture), ground)


def _check_size(picture: Image.Image, path: str) -> None:
    width, height = picture.size
    if width < 1 or height < 1:
        raise PictureError("the picture has no pixels", path)
    if width * height > MAX_PIXELS:
        millions = f"{width * height / 1e6:.1f}".removesuffix(".0")
        limit = MAX_PIXELS // 1_000_000
        raise PictureError(f"{millions} million pixels; the limit is {limit} million", path)


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


def _pixels(picture: Image.Image) -> Pixels:
    """(H, W, 3) of a picture in RGB; ``np.asarray`` takes a tenth of the time of a small one for its questions."""
    return np.frombuffer(picture.tobytes(), np.uint8).reshape(picture.height, picture.width, 3)
