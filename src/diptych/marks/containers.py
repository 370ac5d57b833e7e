"""XMP and plain text put into the bytes of a file, whose pixels stay bit for bit as they are.

Where each format keeps them: XMP specification part 3 (PNG, JPEG, GIF, MP4); the WebP container specification; the PNG
specification (keywords Software and Description).
"""

import io
import struct
import zlib
from collections.abc import Callable, Mapping

from PIL import Image

PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
_XMP_OF_PNG, _XMP_OF_JPEG = b"XML:com.adobe.xmp", b"http://ns.adobe.com/xap/1.0/\0"
_XMP_OF_GIF = b"\x21\xff\x0bXMP DataXMP"
_GIF_TRAILER = bytes([1, *range(255, -1, -1), 0])  # takes a reader that knows no XMP to the end of the packet
_XMP_OF_MP4 = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_WEBP_HAS_XMP, _WEBP_HAS_ALPHA = 0x04, 0x10


def mime_type(content: bytes) -> str | None:
    """The type of a file that can be marked; ``None`` for any other."""
    if content.startswith(PNG):
        return "image/png"
    if content.startswith(JPEG):
        return "image/jpeg"
    if content.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return "video/mp4" if content[4:8] == b"ftyp" else None


def shows_all_marks(head: bytes) -> bool:
    """Whether the start of a file reaches its pixels, in a format whose marks stand before them."""
    if head.startswith(JPEG):
        place = 2
        while head[place : place + 1] == b"\xff":
            if head[place + 1 : place + 2] == b"\xda":
                return True
            place += 2 + int.from_bytes(head[place + 2 : place + 4], "big")
        return False
    return (head.startswith(PNG) and b"IDAT" in head) or head.startswith(b"GIF8")


def with_text(content: bytes, xmp: bytes, software: str, description: str) -> bytes:
    """The file with an XMP packet, and with the name of a program and a sentence where the format has text."""
    kind = mime_type(content)
    return content if kind is None else _WRITERS[kind](content, xmp, software, description)


def _png(content: bytes, xmp: bytes, software: str, description: str) -> bytes:
    header = len(PNG) + 25  # the signature and IHDR, which is always first
    texts = [
        _png_chunk(b"tEXt", b"Software\0" + software.encode("latin-1", "replace")),
        _png_chunk(b"iTXt", b"Description\0\0\0\0\0" + description.encode("utf-8", "replace")),
        _png_chunk(b"iTXt", _XMP_OF_PNG + b"\0\0\0\0\0" + xmp),
    ]
    return content[:header] + b"".join(texts) + content[header:]


def _png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _jpeg(content: bytes, xmp: bytes, software: str, description: str) -> bytes:
    after = 2  # the application segments JFIF and Exif come first
    while content[after : after + 2] in (b"\xff\xe0", b"\xff\xe1"):
        after += 2 + int.from_bytes(content[after + 2 : after + 4], "big")
    comment = f"{software}: {description}".encode("utf-8", "replace")
    return b"".join(
        (content[:after], _jpeg_segment(0xE1, _XMP_OF_JPEG + xmp), _jpeg_segment(0xFE, comment), content[after:])
    )


def _jpeg_segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def _gif(content: bytes, xmp: bytes, software: str, description: str) -> bytes:
    flags = content[10]
    after = 13 + (3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0)  # the screen and its colours
    text = f"{software}: {description}".encode("utf-8", "replace")[:255]
    comment = b"\x21\xfe" + bytes([len(text)]) + text + b"\0"
    version = b"GIF89a"  # the older one has no extensions
    return version + content[6:after] + comment + _XMP_OF_GIF + xmp + _GIF_TRAILER + content[after:]


def _mp4(content: bytes, xmp: bytes, software: str, description: str) -> bytes:
    return content + struct.pack(">I", 24 + len(xmp)) + b"uuid" + _XMP_OF_MP4 + xmp


def _webp(content: bytes, xmp: bytes, software: str, description: str) -> bytes:
    chunks = content[12 : 8 + int.from_bytes(content[4:8], "little")]
    if chunks[:4] == b"VP8X":
        extended = bytearray(chunks[:18])
        extended[8] |= _WEBP_HAS_XMP
        chunks = bytes(extended) + chunks[18:]
    else:
        with Image.open(io.BytesIO(content)) as opened:
            (width, height), alpha = opened.size, opened.mode == "RGBA"
        flags = _WEBP_HAS_XMP | (_WEBP_HAS_ALPHA if alpha else 0)
        sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        chunks = b"VP8X" + struct.pack("<II", 10, flags) + sides + chunks
    body = b"WEBP" + chunks + b"XMP " + struct.pack("<I", len(xmp)) + xmp + b"\0" * (len(xmp) % 2)
    return b"RIFF" + struct.pack("<I", len(body)) + body


_WRITERS: Mapping[str, Callable[[bytes, bytes, str, str], bytes]] = {
    "image/png": _png,
    "image/jpeg": _jpeg,
    "image/gif": _gif,
    "image/webp": _webp,
    "video/mp4": _mp4,
}
