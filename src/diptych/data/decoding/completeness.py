"""Files that the decoders would complete by grey or by zeros are refused."""

import zlib

from PIL import ImageFile

from diptych.errors import PictureError

TRUNCATED = "the file ends before the picture does"
DAMAGED = "the file is damaged"


def check_complete(data: bytes | memoryview, picture: ImageFile.ImageFile, path: str) -> None:
    """Refuse what the decoders would pad silently, as when a broken download left zeros for the rest."""
    if picture.format == "PNG":
        _check_png(data, path)
    padded = picture.format == "JPEG" and bytes(data[-32:]) == bytes(32)
    if padded and not bytes(data).rstrip(b"\0").endswith(b"\xff\xd9"):
        raise PictureError(TRUNCATED, path)


def _check_png(data: bytes | memoryview, path: str) -> None:
    """Compare the checksum of every chunk of pixels, which Pillow does not."""
    start = 8
    while start + 8 <= len(data):
        length = int.from_bytes(data[start : start + 4])
        end = start + 12 + length
        if bytes(data[start + 4 : start + 8]) == b"IDAT":
            if end > len(data):
                raise PictureError(TRUNCATED, path)
            if zlib.crc32(data[start + 4 : end - 4]) != int.from_bytes(data[end - 4 : end]):
                raise PictureError(DAMAGED, path)
        start = end
