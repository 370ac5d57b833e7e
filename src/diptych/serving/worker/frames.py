"""Frames between the web process and the worker: a JSON header, then raw parts. Nothing is pickled.

::

    length of the header, 4 bytes, big-endian | header, UTF-8 JSON | part | part | …

The header's "parts" holds the lengths of the parts in bytes.
"""

import asyncio
import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

_LENGTH = struct.Struct(">I")


@dataclass(frozen=True)
class Frame:
    """A message: a header that JSON can hold, and parts such as the bytes of pictures."""

    header: dict[str, Any]
    parts: list[bytes]


def encode(header: dict[str, Any], parts: Sequence[bytes] = ()) -> list[bytes]:
    """The bytes of a frame, in pieces; the parts are not copied."""
    text = json.dumps({**header, "parts": [len(part) for part in parts]}).encode()
    return [_LENGTH.pack(len(text)), text, *parts]


def read(stream: BinaryIO) -> Frame | None:
    """The next frame of a stream; ``None`` at its end, also within a frame."""
    length = stream.read(_LENGTH.size)
    if len(length) < _LENGTH.size:
        return None
    text = stream.read(_LENGTH.unpack(length)[0])
    if len(text) < _LENGTH.unpack(length)[0]:
        return None
    header = json.loads(text)
    sizes = header.pop("parts")
    parts = [stream.read(size) for size in sizes]
    return Frame(header, parts) if [len(part) for part in parts] == sizes else None


async def receive(reader: asyncio.StreamReader) -> Frame | None:
    """The same of an asyncio stream."""
    try:
        (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        header = json.loads(await reader.readexactly(length))
        return Frame(header, [await reader.readexactly(size) for size in header.pop("parts")])
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
