"""The web process's end of a connection: starts a worker, sends requests, and starts another when it dies."""

import asyncio
import logging
import os
import socket
import sys
import time
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Any

from diptych.serving.errors import Unavailable, WorkerError
from diptych.serving.worker import frames
from diptych.serving.worker.frames import Frame

log = logging.getLogger("diptych")
STABLE_SECONDS = 10.0  # a worker that lived so long is followed by another at once
MIN_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 0.5, 30.0  # before another after one that did not, doubled each time
EXIT_SECONDS = 5.0  # that a worker has to end by itself
BUFFER_BYTES = 1 << 20
STARTING = "The worker that holds the models is starting. Try again in a moment."
ENDED = "The worker that holds the models has ended; another one is starting. Try again in a moment."


class State(Enum):
    """Where a worker is: a request wakes one that sleeps, and waits for one that starts."""

    ASLEEP, STARTING, READY, ENDED = range(4)


class Worker:
    """A worker process; restarted when it dies.

    Parameters
    ----------
    kind
        Of the process: "quick" or "full".
    folder
        What its models are named in.
    models
        Models that each of its lanes keeps in memory.
    threads
        Threads that compute.
    idle_seconds
        The process is started when it is needed, and ended when it has not been for so long; ``None``: it always runs.

    Attributes
    ----------
    restarts
        How often a worker has died.
    """

    def __init__(
        self, kind: str, folder: Path, *, models: int, threads: int, idle_seconds: float | None = None
    ) -> None:
        self._arguments = (str(folder), str(models), str(threads))
        self._kind, self._idle_seconds = kind, idle_seconds
        # One arena: with one for each thread the worker keeps 150 MB of freed memory, and is no faster.
        self._environment = {**os.environ, "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
        self.restarts = 0
        self._state = State.STARTING if idle_seconds is None else State.ASLEEP
        self._wanted, self._settled = asyncio.Event(), asyncio.Event()
        if idle_seconds is None:
            self._wanted.set()
        self._closing = self._retired = False
        self._pending: dict[int, asyncio.Future[Frame]] = {}
        self._last_id, self._used_at = 0, 0.0
        self._writer: asyncio.StreamWriter | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._supervisor: asyncio.Task[None] | None = None

    @property
    def ready(self) -> bool:
        """Whether requests can be sent: to a process, or to one that they start."""
        return self._state in (State.READY, State.ASLEEP)

    @property
    def running(self) -> bool:
        """Whether there is a process that answers."""
        return self._state is State.READY

    def start(self) -> None:
        """Start the process, unless it waits until it is needed; does not wait until it is ready."""
        self._supervisor = asyncio.create_task(self._supervise())

    def wake(self) -> None:
        """Start a process that sleeps."""
        if self._state is State.ASLEEP:
            self._state = State.STARTING
            self._wanted.set()

    async def call(
        self, verb: str, model: str, options: dict[str, Any], parts: Sequence[bytes] = (), *, lane: str
    ) -> Frame:
        """The answer to a request: its header's "value", and its parts.

        Raises
        ------
        Unavailable
            There is no worker at present, or it has died meanwhile.
        WorkerError
            What the worker raised.
        """
        self.wake()
        if self._state is State.STARTING:
            await self._settled.wait()
        if self._state is not State.READY or self._writer is None:
            raise Unavailable(STARTING)
        self._last_id += 1
        number = self._last_id
        answer: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._pending[number] = answer
        header = {"id": number, "lane": lane, "verb": verb, "model": model, "options": options}
        try:
            self._writer.writelines(frames.encode(header, parts))
            await self._writer.drain()
            frame = await answer
        except ConnectionError:
            raise Unavailable(ENDED) from None
        finally:
            self._pending.pop(number, None)
            self._used_at = time.monotonic()
        if "error" in frame.header:
            raise WorkerError(**frame.header["error"])
        return frame

    def kill(self) -> None:
        """End a worker that no longer answers; another one is started."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def close(self) -> None:
        """End the worker for good."""
        self._closing = True
        self._wanted.set()
        if self._writer is not None:
            self._writer.close()
        if self._supervisor is not None:
            try:
                await asyncio.wait_for(asyncio.shield(self._supervisor), EXIT_SECONDS)
            except TimeoutError:
                self.kill()
                await self._supervisor

    async def _supervise(self) -> None:
        pause = 0.0
        while not self._closing:
            await self._wanted.wait()
            if self._closing:
                return
            started = time.monotonic()
            try:
                await self._run()
                what = "has ended; another one is started"
            except OSError as error:  # such as too little memory for another process
                what = f"cannot be started ({error.strerror or error}); this is tried again"
                self._state = State.ENDED
                self._settled.set()
            if self._closing:
                return
            if self._retired:
                continue
            self.restarts += 1
            log.warning("The worker that holds the models %s.", what)
            lived = time.monotonic() - started
            pause = 0.0 if lived >= STABLE_SECONDS else min(MAX_PAUSE_SECONDS, max(MIN_PAUSE_SECONDS, 2 * pause))
            await asyncio.sleep(pause)

    async def _run(self) -> None:
        """One worker, from its start to its end."""
        self._retired = False
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = await self._process_at(theirs.fileno())
            except OSError:
                ours.close()
                raise
        reader, self._writer = await asyncio.open_connection(sock=ours, limit=BUFFER_BYTES)
        retirement = asyncio.create_task(self._retire())
        try:
            if self._closing:
                return
            while (frame := await frames.receive(reader)) is not None:
                self._take(frame)
        finally:
            retirement.cancel()
            if not self._retired:
                self._state = State.ENDED
                self._settled.set()
                self._fail_pending()
            self._writer.close()
            await self._process.wait()

    async def _process_at(self, descriptor: int) -> asyncio.subprocess.Process:
        """A worker at the other end of a connection."""
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "diptych.serving.worker", self._kind, str(descriptor), *self._arguments),
            pass_fds=[descriptor],
            stdin=asyncio.subprocess.DEVNULL,
            env=self._environment,
        )

    async def _retire(self) -> None:
        """End the process once it has been idle for long."""
        while self._idle_seconds is not None:
            idle = 0.0 if self._pending or not self.running else time.monotonic() - self._used_at
            if idle >= self._idle_seconds and self._writer is not None:
                self._state, self._retired = State.ASLEEP, True
                self._wanted.clear()
                self._settled.clear()
                self._writer.close()
                return
            await asyncio.sleep(self._idle_seconds - idle)

    def _take(self, frame: Frame) -> None:
        number = frame.header["id"]
        if number == 0:
            self._state, self._used_at = State.READY, time.monotonic()
            self._settled.set()
        answer = self._pending.get(number)  # none where nobody waits any more
        if answer is not None and not answer.done():
            answer.set_result(frame)

    def _fail_pending(self) -> None:
        for answer in self._pending.values():
            if not answer.done():
                answer.set_exception(Unavailable(ENDED))
