"""Dynamic batching: pictures wait in one bounded queue, and go to the worker together with others of the same kind."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from diptych.serving.errors import Overloaded

IN_FLIGHT = 2  # batches: one computed, and one at hand as soon as it is
Key = tuple[str, str, str]  # verb, model, and options as JSON: pictures of one key are computed together


@dataclass(frozen=True)
class Answer:
    """The answer for one picture: a JSON object, and its HTTP status were it the only one."""

    row: bytes
    status: int


@dataclass(frozen=True)
class Picture:
    """A picture on its way to the worker: its name and its file's bytes."""

    name: str
    content: bytes


Waiting = tuple[Picture, asyncio.Future[Answer]]
Compute = Callable[[Key, list[Picture]], Awaitable[list[Answer]]]


class Batcher:
    """Collects pictures into batches.

    Parameters
    ----------
    compute
        Answers a batch: pictures of one verb and model.
    capacity
        Pictures that may wait.
    batch
        Pictures in a batch.
    wait_seconds
        How long an idle worker waits for a batch to fill.
    observe
        Called with the size of each batch.
    """

    def __init__(
        self, compute: Compute, *, capacity: int, batch: int, wait_seconds: float, observe: Callable[[int], None]
    ) -> None:
        self._compute, self._observe = compute, observe
        self._capacity, self._batch, self._wait_seconds = capacity, batch, wait_seconds
        self._queues: OrderedDict[Key, deque[Waiting]] = OrderedDict()
        self._slots = asyncio.Semaphore(IN_FLIGHT)
        self._arrival = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()
        self._dispatcher: asyncio.Task[None] | None = None
        self.waiting = 0

    def start(self) -> None:
        """Start to send batches."""
        self._dispatcher = asyncio.create_task(self._dispatch())

    def close(self) -> None:
        """Stop; to be called when nothing waits any more."""
        if self._dispatcher is not None:
            self._dispatcher.cancel()

    def submit(self, key: Key, pictures: Sequence[Picture]) -> list[asyncio.Future[Answer]]:
        """Queue pictures; a picture whose future is cancelled before its turn is dropped.

        Raises
        ------
        Overloaded
            The queue has no room for all of them.
        """
        if self.waiting + len(pictures) > self._capacity:
            raise Overloaded(f"{self.waiting} pictures are waiting; the limit is {self._capacity}. Try again later.")
        loop = asyncio.get_running_loop()
        waiting = [(picture, loop.create_future()) for picture in pictures]
        self._queues.setdefault(key, deque()).extend(waiting)
        self.waiting += len(waiting)
        self._arrival.set()
        return [future for _, future in waiting]

    async def _dispatch(self) -> None:
        while True:
            await self._slots.acquire()
            while not self._queues:
                self._arrival.clear()
                await self._arrival.wait()
            if not self._running and self.waiting < self._batch:
                await asyncio.sleep(self._wait_seconds)
            key, batch = self._next_batch()
            task = asyncio.create_task(self._run(key, batch))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    def _next_batch(self) -> tuple[Key, list[Waiting]]:
        """The next pictures of the verb and model whose turn it is, without those that nobody waits for."""
        key, queue = self._queues.popitem(last=False)
        taken = [queue.popleft() for _ in range(min(self._batch, len(queue)))]
        if queue:
            self._queues[key] = queue  # last: the others come first
        self.waiting -= len(taken)
        return key, [(picture, future) for picture, future in taken if not future.done()]

    async def _run(self, key: Key, batch: list[Waiting]) -> None:
        futures = [future for _, future in batch]
        try:
            if batch:
                self._observe(len(batch))
                for future, answer in zip(
                    futures, await self._compute(key, [picture for picture, _ in batch]), strict=True
                ):
                    if not future.done():
                        future.set_result(answer)
        except Exception as error:  # given to each of those that wait
            for future in futures:
                if not future.done():
                    future.set_exception(error)
        finally:
            self._slots.release()
