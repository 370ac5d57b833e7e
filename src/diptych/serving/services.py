"""What the routes share: the models, the workers, the queue, the metrics."""

import asyncio
import json
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from starlette.requests import Request

from diptych.resources import core_count
from diptych.serving.batching import Answer, Batcher, Key, Picture
from diptych.serving.bodies import BodyReader
from diptych.serving.catalog import Catalog
from diptych.serving.errors import UNUSABLE, Overloaded, TimedOut, WorkerError
from diptych.serving.exports import FOLDER, Exports
from diptych.serving.metrics import Metrics
from diptych.serving.settings import ServerSettings
from diptych.serving.worker.client import Worker
from diptych.serving.worker.frames import Frame

MEGABYTE = 1_000_000
QUICK_VERBS = ("predict", "match")  # of the quick worker
LOADING_SECONDS = 60.0  # that a model may take on top of a batch's timeout, before the worker counts as stuck
Result = TypeVar("Result")


class ClientGone(Exception):  # noqa: N818 - the state is the name
    """Nobody waits for the answer any more."""


class Services:
    """All parts of one server; :meth:`of` gives those that a request belongs to."""

    def __init__(self, home: Path, settings: ServerSettings) -> None:
        self.settings, self.catalog, self.metrics = settings, Catalog(home), Metrics()
        self.bodies = BodyReader(int(settings.bodies_mb * MEGABYTE))
        self.exports = Exports(self.catalog)
        threads = settings.threads or core_count()
        self.quick_worker = Worker("quick", home, models=settings.models, threads=threads)
        self.full_worker = Worker("full", home, models=settings.models, threads=threads, idle_seconds=settings.idle_s)
        self.batcher = Batcher(
            self._compute,
            capacity=settings.queue,
            batch=settings.batch,
            wait_seconds=settings.wait_ms / 1000,
            observe=self.metrics.batches.observe,
        )
        self._slow_turn = asyncio.Lock()
        self.slow_waiting = 0
        self.metrics.gauge("diptych_queue_pictures", "Pictures that wait.", lambda: self.batcher.waiting)
        self.metrics.gauge("diptych_body_bytes", "Bodies in memory.", lambda: self.bodies.held_bytes)
        self.metrics.gauge("diptych_slow_requests", "Slow requests.", lambda: self.slow_waiting)
        self.metrics.gauge("diptych_worker_ready", "Whether requests can be answered.", lambda: self.ready)
        self.metrics.gauge("diptych_worker_restarts", "Workers that died.", self._restarts)
        self.metrics.gauge("diptych_full_worker", "Whether torch is in memory.", lambda: self.full_worker.running)
        self.metrics.gauge("diptych_exports_waiting", "Models to be exported.", lambda: self.exports.waiting)

    @staticmethod
    def of(request: Request) -> "Services":
        """The services of the server that this request came to."""
        services: Services = request.app.state.services
        return services

    @property
    def max_upload_bytes(self) -> int:
        """The size of a request's body."""
        return int(self.settings.max_upload_mb * MEGABYTE)

    @property
    def ready(self) -> bool:
        """Whether both workers take requests."""
        return self.quick_worker.ready and self.full_worker.ready

    def _restarts(self) -> int:
        return self.quick_worker.restarts + self.full_worker.restarts

    def start(self) -> None:
        """Start the queue and the workers, the full one only if models need it to predict."""
        self.quick_worker.start()
        self.full_worker.start()
        self.exports.start()
        if not self.exports.complete():
            self.full_worker.wake()
        self.batcher.start()

    async def close(self) -> None:
        """End them; to be called when every request is answered."""
        self.batcher.close()
        await self.exports.close()
        await self.quick_worker.close()
        await self.full_worker.close()

    async def quick(self, request: Request, key: Key, pictures: Sequence[Picture]) -> list[Answer]:
        """The answers for pictures, computed in batches with those of other requests.

        Raises
        ------
        Overloaded, Unavailable, TimedOut, WorkerError
            There is none.
        """
        answers = asyncio.gather(*self.batcher.submit(key, pictures))
        return await answered(request, answers, self.settings.timeout_s)

    async def slow(
        self, request: Request, verb: str, model: str, options: dict[str, Any], parts: Sequence[bytes] = ()
    ) -> Frame:
        """The answer to a request that takes long: one after the other, beside the quick ones.

        Raises
        ------
        Overloaded, Unavailable, TimedOut, WorkerError
            There is none.
        """
        if self.slow_waiting >= self.settings.slow_queue:
            raise Overloaded(f"{self.slow_waiting} requests to sample, edit or explain are waiting. Try again later.")
        self.slow_waiting += 1
        try:
            call = asyncio.ensure_future(self._in_turn(verb, model, options, parts))
            return await answered(request, call, self.settings.slow_timeout_s)
        finally:
            self.slow_waiting -= 1

    async def _in_turn(self, verb: str, model: str, options: dict[str, Any], parts: Sequence[bytes]) -> Frame:
        async with self._slow_turn:
            return await self.full_worker.call(verb, model, options, parts, lane="slow")

    async def _compute(self, key: Key, pictures: list[Picture]) -> list[Answer]:
        verb, model, given = key
        options = {**json.loads(given), "names": [picture.name for picture in pictures]}
        contents = [picture.content for picture in pictures]
        frame = await self._exported(verb, model, options, contents)
        if frame is None:
            frame = await self._batch(self.full_worker, verb, model, options, contents)
        statuses = frame.header["value"]["statuses"]
        return [Answer(row, status) for row, status in zip(frame.parts, statuses, strict=True)]

    async def _exported(self, verb: str, model: str, options: dict[str, Any], parts: Sequence[bytes]) -> Frame | None:
        """The answer of the quick worker; ``None`` where there is no export that can be read."""
        file = self.exports.file(model) if verb in QUICK_VERBS else None
        if file is None:
            return None
        try:
            return await self._batch(self.quick_worker, verb, f"{model}/{FOLDER}/{file}", options, parts)
        except WorkerError as error:
            if error.code != UNUSABLE:
                raise
            self.exports.discard(model)
            return None

    async def _batch(
        self, worker: Worker, verb: str, model: str, options: dict[str, Any], parts: Sequence[bytes]
    ) -> Frame:
        try:
            async with asyncio.timeout(self.settings.timeout_s + LOADING_SECONDS):
                return await worker.call(verb, model, options, parts, lane="quick")
        except TimeoutError:
            worker.kill()  # it is stuck: a fresh one helps all others
            raise TimedOut("The worker did not answer, and was started again.") from None


async def answered(request: Request, answer: Awaitable[Result], seconds: float) -> Result:
    """Wait for an answer, unless the client goes away or it takes too long: then it is cancelled.

    Raises
    ------
    ClientGone, TimedOut
        There is none.
    """
    waiting = asyncio.ensure_future(answer)
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({waiting, gone}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if waiting.done():
            return waiting.result()
        if gone.done():
            raise ClientGone
        raise TimedOut(f"There was no answer within {seconds:g} seconds. Try again later.")
    finally:
        waiting.cancel()
        gone.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
