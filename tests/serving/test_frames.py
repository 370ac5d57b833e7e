"""Frames arrive as they were sent, whole or not at all."""

import asyncio
import io

import pytest

from diptych.serving.worker import frames
from diptych.serving.worker.frames import Frame

HEADER = {"id": 7, "verb": "predict", "options": {"names": ["Äpfel.png"]}}
PARTS = [b"", b"\x00\xff" * 40_000, b"x"]
CONTENT = b"".join(frames.encode(HEADER, PARTS))


async def received(content: bytes) -> list[Frame | None]:
    reader = asyncio.StreamReader()
    reader.feed_data(content)
    reader.feed_eof()
    return [await frames.receive(reader), await frames.receive(reader)]


def test_both_ends_read_what_was_sent():
    stream = io.BytesIO(CONTENT + CONTENT)
    assert [frames.read(stream), frames.read(stream), frames.read(stream)] == [Frame(HEADER, PARTS)] * 2 + [None]
    assert asyncio.run(received(CONTENT)) == [Frame(HEADER, PARTS), None]


@pytest.mark.parametrize("length", [0, 3, 10, len(CONTENT) - 1])
def test_a_frame_that_is_cut_off_is_the_end(length):
    assert frames.read(io.BytesIO(CONTENT[:length])) is None
    assert asyncio.run(received(CONTENT[:length])) == [None, None]
