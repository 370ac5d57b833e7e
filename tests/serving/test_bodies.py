"""Bodies in bounded memory, also those that unpack to far more."""

import asyncio
import io
import zipfile
from collections.abc import Iterator

import pytest
from starlette.requests import Request

from diptych.errors import DataError, UsageError
from diptych.serving.bodies import BodyReader, unpack
from diptych.serving.errors import Overloaded


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def unpacked(body: bytes, kind: str, max_pictures: int = 3, max_bytes: int = 1000) -> list[str]:
    return [picture.name for picture in asyncio.run(unpack(body, kind, max_pictures, max_bytes))]


def test_an_archive_gives_its_files_in_their_order():
    assert unpacked(zipped({"b.png": b"1", "sub/": b"", "a.png": b"2"}), "application/zip") == ["b.png", "a.png"]


def test_a_small_archive_that_unpacks_to_much_is_refused():
    bomb = zipped({"a.png": bytes(5_000_000)})
    assert len(bomb) < 10_000
    with pytest.raises(UsageError, match=r"more than 0.001 MB unpacked"):
        unpacked(bomb, "application/zip")


def test_too_many_pictures_are_refused():
    with pytest.raises(UsageError, match="more than 3 pictures"):
        unpacked(zipped({f"{i}.png": b"1" for i in range(4)}), "application/zip")


@pytest.mark.parametrize("kind", ["application/zip", "application/x-tar"])
def test_a_damaged_archive_is_refused(kind):
    with pytest.raises(DataError, match="archive cannot be read"):
        unpacked(zipped({"a.png": b"1" * 500})[:60], kind)


def request_of(chunks: list[bytes]) -> Request:
    messages: Iterator[dict[str, object]] = iter(
        [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
        + [{"type": "http.request", "body": b"", "more_body": False}]
    )

    async def receive():
        return next(messages)

    return Request({"type": "http", "method": "POST", "headers": []}, receive)


def test_bodies_count_together_until_their_requests_are_answered():
    async def read() -> None:
        bodies = BodyReader(10)
        async with bodies.read(request_of([b"abc", b"def"])) as body:
            assert body == b"abcdef"
            assert bodies.held_bytes == 6
            with pytest.raises(Overloaded):
                async with bodies.read(request_of([b"abc", b"def"])):
                    pass
            assert bodies.held_bytes == 6
        assert bodies.held_bytes == 0

    asyncio.run(read())
