"""JPEG: which files lack a part that the decoder fills with grey, and small files without Pillow's header.

Markers and scans are those of ITU-T T.81, annexes B and G.
"""

import io
import math
import re
import struct
from dataclasses import dataclass

from PIL import Image

from diptych.data.decoding.limits import MAX_PIXELS
from diptych.errors import PictureError

#: A JPEG of up to so many bytes is decoded sooner than Pillow has read its header.
_MAX_PLAIN_JPEG_BYTES = 4096
_FRAME_MARKERS = (0xC0, 0xC1, 0xC2)  # baseline, extended, progressive
_TABLE_MARKERS = (0xC4, 0xDB, 0xDD, 0xE0, 0xFE)  # also JFIF and comments: nothing that changes the pixels
_SCAN_MARKER = 0xDA
_ALL_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_READ_FRAME_MARKERS = (*_FRAME_MARKERS, 0xC9, 0xCA)  # the last two are coded arithmetically
_SCAN_START = b"\xff\xda"
END_MARKER = b"\xff\xd9"
MAX_SCANS = 100  # of a picture; progressive ones have 10
_MODES = {1: "L", 3: "RGB"}
# In the data of pixels 0xFF is followed by 0 or is a restart marker, so that these stand for themselves.
_SCAN, _END = re.compile(rb"\xff\xda"), re.compile(END_MARKER)
#: What a decoder makes of a block without data: the middle of the range, also where CMYK is stored inverted.
_NO_DATA = {127, 128}
_ALL_COEFFICIENTS = (1 << 64) - 1
_WHOLE_SCAN = bytes((0, 63, 0))  # of all coefficients, to their last bit
#: Bytes that are any data but no marker.
_PADDING = bytes((73 * i + 41) % 255 for i in range(512))


@dataclass(slots=True)
class _Frame:
    """What the header says before the first scan."""

    marker: int
    bits: int
    components: bytes
    first_scan: int  # where it begins


@dataclass(slots=True)
class _Scan:
    """The head of a scan: which coefficients of which components it has, and to which bit."""

    components: bytes
    coefficients: int  # a bit for each of the 64
    previous_bit: int
    bit: int

    def has_all(self, components: bytes) -> bool:
        """Whether it has all of every component, as the one scan of an ordinary JPEG has."""
        return len(self.components) == len(components) and self.coefficients == _ALL_COEFFICIENTS


def plain_jpeg(data: bytes | memoryview, below: float = math.inf) -> Image.Image | None:
    """Decode a small JPEG by Pillow's decoder alone, without Pillow reading its header; ``None`` for any other file.

    Small, with no metadata, of one scan, whole, and of a shorter side under ``below``: the pixels are those that Pillow
    decodes, and none of them is made up.
    """
    if len(data) > _MAX_PLAIN_JPEG_BYTES:
        return None
    data, at, shape = bytes(data), 2, None
    if not (data.startswith(b"\xff\xd8") and data.endswith(END_MARKER)) or data.count(_SCAN_START) > 1:
        return None
    while at + 10 < len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _FRAME_MARKERS:
            bits, height, width, components = struct.unpack_from(">BHHB", data, at + 4)
            shape = _MODES.get(components) if bits == 8 else None, (width, height), components
        elif marker not in _TABLE_MARKERS:
            break
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
    if shape is None or data[at : at + 2] != _SCAN_START:
        return None
    mode, size, components = shape
    if mode is None or not 0 < min(size) < below or size[0] * size[1] > MAX_PIXELS:
        return None
    end = at + 5 + 2 * components
    if data[at + 4] != components or data[end : end + 3] != _WHOLE_SCAN:
        return None
    try:
        picture = Image.frombytes(mode, size, data, "jpeg", mode, "")
    except ValueError:  # damaged: the ordinary way explains how
        return None
    return None if _ends_in_grey(picture) and lacks_data(data, picture) else picture


def check_scans(data: bytes | memoryview) -> None:
    """Refuse a JPEG of so many scans that decoding takes minutes: each, though a few bytes, goes through all pixels.

    Raises
    ------
    PictureError
        Says how many there are.
    """
    count = bytes(data).count(_SCAN_START)
    if count > MAX_SCANS:
        raise PictureError(f"a JPEG of {count:,} scans; the limit is {MAX_SCANS}. Save it again with another program")


def why_jpeg_unread(data: bytes | memoryview) -> str | None:
    """What to do with a whole JPEG of a rare kind that libjpeg does not decode; ``None`` for any other file."""
    frame = _frame(data)
    if frame is None:
        return None
    if frame.bits != 8:
        return f"a JPEG of {frame.bits} bits is not read; convert it to PNG or TIFF"
    if frame.marker not in _READ_FRAME_MARKERS:
        return "a lossless or hierarchical JPEG is not read; convert it to PNG or TIFF"
    count = len(frame.components)
    return f"a JPEG of {count} channels is not read; convert it to TIFF" if count not in (1, 3, 4) else None


def lacks_data(data: bytes | memoryview, picture: Image.Image) -> bool:
    """Whether an end marker comes too soon, so that the decoder has made up the rest of a decoded ``picture``.

    The blocks that are missing are grey. Where the last one is, the file is decoded again with and without other bytes
    before its end marker: in a whole picture, they change nothing. A picture of several scans is also decoded again if
    scans are missing, or if the last one brings more than another bit of what there is (such a bit is hardly seen).
    """
    frame = _frame(data)
    if frame is None:
        return False
    is_grey = _ends_in_grey(picture)
    if not is_grey and _scan(data, frame.first_scan).has_all(frame.components):
        return False
    end = _END.search(data, frame.first_scan)
    scans = [_scan(data, at.start()) for at in _SCAN.finditer(data, frame.first_scan, end.start() if end else 0)]
    if end is None or not scans:
        return False  # Pillow refuses the file, or has found more in it than is marked
    if not is_grey and scans[-1].previous_bit and _are_complete(frame.components, scans):
        return False
    padded = b"".join((data[: end.start()], _PADDING, data[end.start() :]))
    return _decoded(padded) != _decoded(data)


def _ends_in_grey(picture: Image.Image) -> bool:
    """Whether its last pixel is what a decoder makes of a block without data."""
    corner = picture.getpixel((picture.width - 1, picture.height - 1))
    return _NO_DATA.issuperset(corner if isinstance(corner, tuple) else (corner,))


def _decoded(data: bytes | memoryview) -> bytes:
    from PIL import JpegImagePlugin  # which Pillow itself imports no sooner than it opens a file

    picture: Image.Image = JpegImagePlugin.jpeg_factory(io.BytesIO(data), "")
    picture.load()
    return picture.tobytes()


def _are_complete(components: bytes, scans: list[_Scan]) -> bool:
    """Whether the scans have every coefficient of every component to its last bit."""
    known = dict.fromkeys(components, 0)
    for scan in scans:
        if scan.bit == 0:
            for component in scan.components:
                known[component] = known.get(component, 0) | scan.coefficients
    return all(coefficients == _ALL_COEFFICIENTS for coefficients in known.values())


def _frame(data: bytes | memoryview) -> _Frame | None:
    """What the header says; ``None`` where it is not in order, which Pillow explains. Made to be quick."""
    at, frame = 2, None
    while at + 10 < len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == _SCAN_MARKER:
            if frame is not None:
                frame.first_scan = at
            return frame
        if marker in _ALL_FRAME_MARKERS:
            end = at + 10 + 3 * data[at + 9]
            frame = _Frame(marker, data[at + 4], bytes(data[at + 10 : end : 3]), end)
        at += 1 if marker == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4])
    return frame


def _scan(data: bytes | memoryview, start: int) -> _Scan:
    """The head of the scan that begins at ``start``."""
    count = data[start + 4] if start + 4 < len(data) else 0
    at = start + 5 + 2 * count
    first, last, bits = (*data[at : at + 3], 0, 0, 0)[:3]
    coefficients = (2 << min(last, 63)) - (1 << min(first, 63))
    return _Scan(bytes(data[start + 5 : at : 2]), coefficients, bits >> 4, bits & 15)
