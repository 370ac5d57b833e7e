"""Request bodies in bounded memory: read as they stream, counted together, and unpacked into pictures."""

import asyncio
import binascii
import io
import tarfile
import zipfile
import zlib
from base64 import b64decode
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.requests import Request

from diptych import json_reader
from diptych.errors import DataError, UsageError
from diptych.serving.batching import Picture
from diptych.serving.errors import Overloaded

ZIP_TYPE, TAR_TYPE, JSON_TYPE = "application/zip", "application/x-tar", "application/json"


class BodyReader:
    """Reads bodies, of which at most ``capacity`` bytes are in memory at a time, over all requests."""

    def __init__(self, capacity: int) -> None:
        self._capacity, self.held_bytes = capacity, 0

    @asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[bytes]:
        """The body of a request; its bytes count until the context is left.

        Raises
        ------
        Overloaded
            There is no memory for it at present.
        """
        chunks, size = [], 0
        try:
            async for chunk in request.stream():
                size += len(chunk)
                self.held_bytes += len(chunk)
                if self.held_bytes > self._capacity:
                    raise Overloaded("Other requests take all memory for pictures. Try again later.")
                chunks.append(chunk)
            yield b"".join(chunks) if len(chunks) != 1 else chunks[0]
        finally:
            self.held_bytes -= size


def media_type(request: Request) -> str:
    """The type of a body, without parameters and in lower case."""
    return request.headers.get("content-type", "").split(";")[0].strip().lower()


def is_set(kind: str) -> bool:
    """Whether a body of this media type holds any number of pictures."""
    return kind in (ZIP_TYPE, TAR_TYPE, JSON_TYPE)


async def unpack(body: bytes, kind: str, max_pictures: int, max_bytes: int) -> list[Picture]:
    """The pictures of a JSON, ZIP or tar body, in their order.

    Parameters
    ----------
    max_pictures, max_bytes
        Limits of what is unpacked, which may be far larger than the body.

    Raises
    ------
    DataError
        The body is damaged.
    UsageError
        It holds nothing, or more than is taken.
    """
    members = _json_members if kind == JSON_TYPE else _zip_members if kind == ZIP_TYPE else _tar_members
    return await asyncio.to_thread(_collect, members(body, max_bytes), max_pictures, max_bytes)


def _collect(members: Iterator[Picture], max_pictures: int, max_bytes: int) -> list[Picture]:
    pictures: list[Picture] = []
    size = 0
    for picture in members:
        pictures.append(picture)
        size += len(picture.content)
        if len(pictures) > max_pictures:
            raise UsageError(f"There are more than {max_pictures} pictures in one request. Send several requests.")
        if size > max_bytes:
            raise UsageError(f"The pictures take more than {max_bytes / 1e6:g} MB unpacked. Send several requests.")
    if not pictures:
        raise UsageError("The request holds no pictures.")
    return pictures


def picture_of(value: Any, number: int = 0) -> Picture:
    """A picture in JSON: its file in base64, or an object with that as "data" and a "name".

    Raises
    ------
    UsageError
        It is something else.
    """
    name, data = f"#{number}", value
    if isinstance(value, dict):
        name, data = value.get("name", name), value.get("data")
    if not isinstance(data, str) or not isinstance(name, str):
        raise UsageError(f'Picture {number} must be base64, or an object of "name" and "data" in base64.')
    try:
        return Picture(name, b64decode(data, validate=True))
    except (binascii.Error, ValueError):
        raise UsageError(f"Picture {number} is not base64.") from None


def parse_json(body: bytes) -> dict[str, Any]:
    """The JSON object of a body.

    Raises
    ------
    UsageError
        It is none.
    """
    try:
        value = json_reader.parse(body)
    except json_reader.JSONError as error:
        raise UsageError(f"The body is not valid JSON: {error.reason}.") from None
    if not isinstance(value, dict):
        raise UsageError("The body must be a JSON object.")
    return value


def _json_members(body: bytes, _: int) -> Iterator[Picture]:
    pictures = parse_json(body).get("pictures")
    if not isinstance(pictures, list):
        raise UsageError('The body must be {"pictures": [...]}, each in base64.')
    return (picture_of(value, number) for number, value in enumerate(pictures))


def _zip_members(body: bytes, max_bytes: int) -> Iterator[Picture]:
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            for member in archive.infolist():
                if not member.is_dir():
                    with archive.open(member) as file:
                        yield Picture(member.filename, file.read(max_bytes + 1))
    # RuntimeError is a password; NotImplementedError, a kind of it, a compression that Python does not know.
    except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, OSError) as error:
        raise DataError(f"The ZIP archive cannot be read: {error}") from None


def _tar_members(body: bytes, max_bytes: int) -> Iterator[Picture]:
    try:
        with tarfile.open(fileobj=io.BytesIO(body), mode="r|") as archive:
            for member in archive:
                file = archive.extractfile(member) if member.isfile() else None
                if file is not None:
                    yield Picture(member.name, file.read(max_bytes + 1))
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise DataError(f"The tar archive cannot be read: {error}") from None
