"""Batches form while others are computed; the queue is bounded; nobody waits for ever."""

import asyncio

import pytest

from diptych.serving.batching import Answer, Batcher, Key, Picture
from diptych.serving.errors import Overloaded

PREDICT, EMBED = ("predict", "pets"), ("embed", "pets")


class Recorder:
    """Answers each picture with its name, once the gate is open, and keeps what was computed together."""

    def __init__(self, *, capacity: int = 100, batch: int = 4) -> None:
        self.batches: list[tuple[Key, list[str]]] = []
        self.gate = asyncio.Event()
        self.sizes: list[int] = []
        self.batcher = Batcher(
            self.compute, capacity=capacity, batch=batch, wait_seconds=0.01, observe=self.sizes.append
        )
        self.batcher.start()

    async def compute(self, key: Key, pictures: list[Picture]) -> list[Answer]:
        self.batches.append((key, [picture.name for picture in pictures]))
        await self.gate.wait()
        if any(picture.content == b"bad" for picture in pictures):
            raise ValueError("bad")
        return [Answer(picture.name.encode(), 200) for picture in pictures]

    def submit(self, *names: str, key: Key = PREDICT, content: bytes = b"") -> list[asyncio.Future[Answer]]:
        return self.batcher.submit(key, [Picture(name, content) for name in names])


async def answers(futures: list[asyncio.Future[Answer]]) -> list[str]:
    return [answer.row.decode() for answer in await asyncio.wait_for(asyncio.gather(*futures), 5)]


def run(test):
    """Run a coroutine function as a test."""

    def wrapped():
        asyncio.run(test())

    wrapped.__name__ = test.__name__
    return wrapped


@run
async def test_pictures_that_come_together_are_computed_together():
    recorder = Recorder()
    recorder.gate.set()
    futures = [future for name in "abcdef" for future in recorder.submit(name)]
    assert await answers(futures) == list("abcdef")
    assert [names for _, names in recorder.batches] == [list("abcd"), list("ef")]
    assert recorder.sizes == [4, 2]
    assert recorder.batcher.waiting == 0


@run
async def test_two_batches_are_under_way_and_the_rest_waits_in_the_queue():
    recorder = Recorder(batch=2)
    futures = recorder.submit(*"abcdefgh")
    await asyncio.sleep(0.1)
    assert [names for _, names in recorder.batches] == [["a", "b"], ["c", "d"]]
    assert recorder.batcher.waiting == 4
    recorder.gate.set()
    assert await answers(futures) == list("abcdefgh")


@run
async def test_the_queue_takes_all_of_a_request_or_nothing():
    recorder = Recorder(capacity=5)
    recorder.submit(*"abc")
    with pytest.raises(Overloaded, match="3 pictures are waiting; the limit is 5"):
        recorder.submit(*"def")
    assert recorder.batcher.waiting == 3
    recorder.submit(*"de")


@run
async def test_a_cancelled_picture_is_not_computed():
    recorder = Recorder(batch=1)
    first, second, third, fourth = recorder.submit(*"abcd")
    await asyncio.sleep(0.05)
    third.cancel()
    recorder.gate.set()
    assert await answers([first, second, fourth]) == ["a", "b", "d"]
    assert [name for _, names in recorder.batches for name in names] == ["a", "b", "d"]


@run
async def test_models_and_verbs_take_turns():
    recorder = Recorder(batch=1)
    futures = [*recorder.submit(*"abc"), *recorder.submit("x", key=EMBED)]
    recorder.gate.set()
    await answers(futures)
    assert [names[0] for _, names in recorder.batches] == ["a", "x", "b", "c"]


@run
async def test_an_error_is_given_to_those_of_its_batch_alone():
    recorder = Recorder(batch=1)
    (bad,), (good,) = recorder.submit("a", content=b"bad"), recorder.submit("b")
    recorder.gate.set()
    with pytest.raises(ValueError, match="bad"):
        await asyncio.wait_for(bad, 5)
    assert await answers([good]) == ["b"]
