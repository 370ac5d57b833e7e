"""The process that decodes pictures: replaced when it dies, and never answering one client with another's picture."""

import asyncio
import io
import os
import signal

import pytest
from PIL import Image

from diptych.errors import PictureError
from diptych.serving.storage.picture_reader import PictureReader


@pytest.fixture
def pictures(tmp_path):
    for side in range(10, 40, 10):
        Image.new("RGB", (side, side), "red").save(tmp_path / f"{side}.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return tmp_path


def test_pictures_are_measured_and_shrunk_in_turns(pictures):
    async def read_all():
        reader = PictureReader()
        names = ["10.png", "20.png", "30.png"] * 5
        facts = await asyncio.gather(*(reader.read(pictures / name, name, 8) for name in names))
        await reader.close()
        return names, facts

    names, facts = asyncio.run(read_all())
    assert [f"{fact.width}.png" for fact in facts] == names
    assert Image.open(io.BytesIO(facts[0].thumbnail)).size == (8, 8)


def test_a_broken_or_absent_picture_is_named_and_the_next_one_is_read(pictures):
    async def read_all():
        reader = PictureReader()
        with pytest.raises(PictureError, match=r"^cat\.png: the file is damaged, or ends within its header$"):
            await reader.read(pictures / "broken.png", "cat.png")
        with pytest.raises(PictureError):
            await reader.read(pictures / "absent.png", "absent.png")
        facts = await reader.read(pictures / "10.png", "10.png")
        await reader.close()
        return facts

    assert asyncio.run(read_all()).width == 10


def test_a_process_that_was_killed_is_replaced(pictures):
    async def read_twice():
        reader = PictureReader()
        await reader.read(pictures / "10.png", "10.png")
        os.kill(reader._process.pid, signal.SIGKILL)
        with pytest.raises(PictureError, match="cannot be decoded"):
            await reader.read(pictures / "10.png", "10.png")
        facts = await reader.read(pictures / "20.png", "20.png")
        await reader.close()
        return facts

    assert asyncio.run(read_twice()).width == 20


def test_a_client_that_leaves_does_not_shift_the_answers(pictures):
    async def read_after_leaving():
        reader = PictureReader()
        await reader.read(pictures / "10.png", "10.png")
        leaving = asyncio.create_task(reader.read(pictures / "10.png", "10.png"))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        facts = await reader.read(pictures / "30.png", "30.png")
        await reader.close()
        return facts

    assert asyncio.run(read_after_leaving()).width == 30
