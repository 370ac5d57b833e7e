"""JPEG: which files lack a part that the decoder fills with grey, and small files without Pillow's header.

Markers and scans are those of ITU-T T.81, annexes B and G.
"""

import io
import math
import re
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from PIL import Image

from diptych.data.decoding.limits import MAX_PIXELS

#: A JPEG of up to so many bytes is decoded sooner than Pillow has read its header.
_MAX_PLAIN_JPEG_BYTES = 4096
_FRAME_MARKERS = (0xC0, 0xC1, 0xC2)  # baseline, extended, progressive
_TABLE_MARKERS = (0xC4, 0xDB, 0xDD, 0xE0, 0xFE)  # also JFIF and comments: nothing that changes the pixels
_SCAN_MARKER, _END_MARKER = 0xDA, 0xD9
_ALL_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_READ_FRAME_MARKERS = (*_FRAME_MARKERS, 0xC9, 0xCA)  # the last two are coded arithmetically
_MODES = {1: "L", 3: "RGB"}
# In pixels' data 0xFF is followed by 0 or is a restart marker; several 0xFF before a marker are one.
_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])", re.DOTALL)
#: What a decoder makes of a block without data: the middle of the range, also where CMYK is stored inverted.
_NO_DATA = (127, 128)
_WHOLE_SPECTRUM = bytes((0, 63))  # from the first to the last coefficient
_ALL_COEFFICIENTS = (1 << 64) - 1
#: Bytes that are any data but no marker.
_PADDING = bytes((73 * i + 41) % 255 for i in range(512))


@dataclass(slots=True)
class _Segment:
    """A marker with its contents."""

    marker: int
    start: int  # of the marker
    body: bytes


@dataclass(slots=True)
class _Scan:
    """The head of a scan: which coefficients of which components it has, and to which bit."""

    components: bytes
    coefficients: int  # a bit for each of 64
    previous_bit: int
    bit: int


def plain_jpeg(data: bytes | memoryview, below: float = math.inf) -> Image.Image | None:
    """Decode a small JPEG by Pillow's decoder alone, without Pillow reading its header; ``None`` for any other file.

    Small, with no metadata, whole, and of a shorter side under ``below``: the pixels are those that Pillow decodes.
    """
    if len(data) > _MAX_PLAIN_JPEG_BYTES or bytes(data[:2]) != b"\xff\xd8" or bytes(data[-2:]) != b"\xff\xd9":
        return None
    data, at, shape = bytes(data), 2, None
    while at + 10 < len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _FRAME_MARKERS:
            bits, height, width, components = struct.unpack_from(">BHHB", data, at + 4)
            shape = _MODES.get(components) if bits == 8 else None, (width, height)
        elif marker not in _TABLE_MARKERS:
            break
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
    if shape is None or data[at : at + 2] != bytes((0xFF, _SCAN_MARKER)):
        return None
    mode, size = shape
    if mode is None or not 0 < min(size) < below or size[0] * size[1] > MAX_PIXELS:
        return None
    with suppress(ValueError):  # damaged: the ordinary way explains how
        return Image.frombytes(mode, size, data, "jpeg", mode, "")
    return None


def why_jpeg_unread(data: bytes | memoryview) -> str | None:
    """What to do with a whole JPEG of a rare kind that libjpeg does not decode; ``None`` for any other file."""
    frame = next((part for part in _segments(data) if part.marker in _ALL_FRAME_MARKERS), None)
    if frame is None or len(frame.body) < 6:
        return None
    bits, components = frame.body[0], frame.body[5]
    if bits != 8:
        return f"a JPEG of {bits} bits is not read; convert it to PNG or TIFF"
    if frame.marker not in _READ_FRAME_MARKERS:
        return "a lossless or hierarchical JPEG is not read; convert it to PNG or TIFF"
    return f"a JPEG of {components} channels is not read; convert it to TIFF" if components not in (1, 3, 4) else None


def lacks_data(data: bytes | memoryview, picture: Image.Image) -> bool:
    """Whether an end marker comes too soon, so that the decoder has made up the rest of a decoded ``picture``.

    The blocks that are missing are grey. Where the last one is, the file is decoded again with and without other bytes
    before its end marker: in a whole picture, they change nothing. A picture of several scans is also decoded again if
    scans are missing, or if the last one brings more than another bit of what there is (such a bit is hardly seen).
    """
    corner = picture.getpixel((picture.width - 1, picture.height - 1))
    values = corner if isinstance(corner, tuple) else (corner,)
    if not all(value in _NO_DATA for value in values) and _one_scan_has_all(data):
        return False
    components, scans, end = b"", [], None
    for part in _segments(data):
        if part.marker in _ALL_FRAME_MARKERS:
            components = part.body[6::3]
        elif part.marker == _SCAN_MARKER:
            scans.append(_scan(part.body))
        elif part.marker == _END_MARKER:
            end = part.start
            break
    if end is None or not scans:
        return False  # Pillow refuses the file, or has found more in it than is marked
    grey = all(value in _NO_DATA for value in values)
    if not grey and scans[-1].previous_bit and _are_complete(components, scans):
        return False
    padded = b"".join((data[:end], _PADDING, data[end:]))
    return _decoded(padded) != _decoded(data)


def _decoded(data: bytes | memoryview) -> bytes:
    picture: Image.Image = Image.OPEN["JPEG"][0](io.BytesIO(data), "")
    picture.load()
    return picture.tobytes()


def _one_scan_has_all(data: bytes | memoryview) -> bool:
    """Whether the first scan has all of every component, as that of an ordinary JPEG has; made to be quick."""
    at, components = 2, 0
    while at + 13 < len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == _SCAN_MARKER:
            spectrum = at + 5 + 2 * data[at + 4]
            return data[at + 4] == components and bytes(data[spectrum : spectrum + 2]) == _WHOLE_SPECTRUM
        if marker in _ALL_FRAME_MARKERS:
            components = data[at + 9]
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
    return False


def _are_complete(components: bytes, scans: list[_Scan]) -> bool:
    """Whether the scans have every coefficient of every component to its last bit."""
    known = dict.fromkeys(components, 0)
    for scan in scans:
        if scan.bit == 0:
            for component in scan.components:
                known[component] = known.get(component, 0) | scan.coefficients
    return all(coefficients == _ALL_COEFFICIENTS for coefficients in known.values())


def _segments(data: bytes | memoryview) -> Iterator[_Segment]:
    """Yield the segments of the first picture in a file, as far as they can be told apart."""
    at = 2
    while match := _MARKER.search(data, at):
        marker, at = match[1][0], match.end()
        if marker in (0x01, 0xD8, _END_MARKER):
            yield _Segment(marker, match.start(), b"")
            continue
        length = int.from_bytes(data[at : at + 2])
        yield _Segment(marker, match.start(), bytes(data[at + 2 : at + length]))
        at += max(length, 2)


def _scan(body: bytes) -> _Scan:
    count = body[0] if body else 0
    first, last, bits = (*body[1 + 2 * count : 4 + 2 * count], 0, 0, 0)[:3]
    return _Scan(body[1 : 1 + 2 * count : 2], (2 << min(last, 63)) - (1 << min(first, 63)), bits >> 4, bits & 15)
