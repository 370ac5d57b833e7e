"""Files that the decoders would complete by grey or by zeros are refused."""

import zlib
from collections.abc import Iterator

from PIL import Image, ImageFile

from diptych.errors import PictureError

TRUNCATED = "the file ends before the picture does"
DAMAGED = "the file is damaged"
_MAX_RATIO = 1032  # of unpacked bytes to packed ones: Deflate's largest (258 bytes by two bits)
_BLOCK_BYTES = 1 << 20
_SAMPLES = {2: 3, 4: 2, 6: 4}  # of a pixel, by PNG's colour type
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def check_complete(data: bytes | memoryview, picture: ImageFile.ImageFile, path: str) -> None:
    """Refuse what the decoders would pad silently, as when a broken download left zeros for the rest."""
    if picture.format == "PNG":
        _check_png(data, path)
    padded = picture.format == "JPEG" and bytes(data[-32:]) == bytes(32)
    if padded and not bytes(data).rstrip(b"\0").endswith(b"\xff\xd9"):
        raise PictureError(TRUNCATED, path)


def lacks_rows(data: bytes | memoryview, picture: Image.Image) -> bool:
    """Whether the compressed rows of a PNG that was decoded end before its last one, which Pillow leaves at zero.

    They are unpacked a second time only where the last rows are zero, also of an interlaced one, whose last pass has
    every second row.
    """
    if picture.format != "PNG":
        return False
    width, height = picture.size
    rows = (picture.crop((0, row, width, row + 1)).tobytes() for row in range(max(height - 2, 0), height))
    return not all(map(any, rows)) and _unpacked_bytes(data, _raw_bytes(data)) < _raw_bytes(data)


def _check_png(data: bytes | memoryview, path: str) -> None:
    """Compare the checksum of every chunk of pixels, which Pillow does not, and their size with that of the rows."""
    packed = 0
    for start, end in _chunks_of_pixels(data):
        if end > len(data):
            raise PictureError(TRUNCATED, path)
        if zlib.crc32(data[start - 4 : end - 4]) != int.from_bytes(data[end - 4 : end]):
            raise PictureError(DAMAGED, path)
        packed += end - start
    if _raw_bytes(data) > _MAX_RATIO * packed:
        raise PictureError(TRUNCATED, path)


def _chunks_of_pixels(data: bytes | memoryview) -> Iterator[tuple[int, int]]:
    """Where the content of each chunk IDAT of a PNG starts, and where the chunk ends, with its checksum."""
    start = 8
    while start + 8 <= len(data):
        end = start + 12 + int.from_bytes(data[start : start + 4])
        if bytes(data[start + 4 : start + 8]) == b"IDAT":
            yield start + 8, end
        start = end


def _raw_bytes(data: bytes | memoryview) -> int:
    """Bytes of all rows of a PNG with their filters (PNG specification, third edition, 7.2 and 8)."""
    width, height = int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
    bits = data[24] * _SAMPLES.get(data[25], 1)
    passes = _ADAM7 if data[28] else ((0, 0, 1, 1),)
    sizes = ((-(-(width - x) // across), -(-(height - y) // down)) for x, y, across, down in passes)
    return sum(rows * (1 + -(-columns * bits // 8)) for columns, rows in sizes if columns > 0 and rows > 0)


def _unpacked_bytes(data: bytes | memoryview, enough: int) -> int:
    """How many bytes the chunks IDAT unpack to, counted as far as ``enough``."""
    unpacker, count = zlib.decompressobj(), 0
    try:
        for start, end in _chunks_of_pixels(data):
            packed = bytes(data[start : end - 4])
            while packed and count < enough and not unpacker.eof:
                count += len(unpacker.decompress(packed, _BLOCK_BYTES))
                packed = unpacker.unconsumed_tail
    except zlib.error:  # behind the last row, where Pillow does not look either
        pass
    return count
