"""Clients that load an HTTP server with prepared requests and check each answer; used by serving.py."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
MAX_OPEN = 1024  # connections of an open load
MAX_IDLE_SECONDS = 3.0  # of a connection that is used again; servers close them after five, and an answer would be lost


@dataclass
class Load:
    """What clients saw.

    Attributes
    ----------
    seconds
        From the first request to the last answer.
    latencies
        Seconds of each answer of status 200.
    statuses
        How many answers of each status; "lost" for a request that was sent whole and not answered.
    wrong
        Answers of status 200 that are not the expected ones.
    """

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    statuses: Counter[int | str] = field(default_factory=Counter)
    wrong: int = 0

    def percentile(self, share: float) -> float:
        """The latency that this share of the answers does not exceed."""
        ranked = sorted(self.latencies)
        return ranked[min(len(ranked) - 1, int(share * len(ranked)))] if ranked else float("nan")


class Target:
    """A server's address, the requests that are sent in turn, and a check of each answer's body."""

    def __init__(self, port: int, requests: Sequence[bytes], is_right: Callable[[int, bytes], bool]) -> None:
        self.port, self.requests, self.is_right = port, requests, is_right
        self.turn = itertools.count()

    async def connect(self) -> Connection:
        """A new connection."""
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def ask(self, connection: Connection, load: Load) -> bool:
        """One request and its answer; returns whether the connection can be used again."""
        reader, writer = connection
        number = next(self.turn) % len(self.requests)
        started = time.perf_counter()
        try:
            writer.write(self.requests[number])
            await writer.drain()
            head = await reader.readuntil(b"\r\n\r\n")
            lines = head.lower().split(b"\r\n")
            length = next(int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:"))
            body = await reader.readexactly(length)
        except (ConnectionError, asyncio.IncompleteReadError):
            load.statuses["lost"] += 1
            return False
        status = int(head[9:12])
        load.statuses[status] += 1
        if status == 200:
            load.latencies.append(time.perf_counter() - started)
            load.wrong += not self.is_right(number, body)
        return b"connection: close" not in lines


async def closed_load(target: Target, clients: int, seconds: float) -> Load:
    """Each client sends its next request when the last one is answered; ends early when the server does."""
    load, started = Load(), time.perf_counter()

    async def client() -> None:
        while time.perf_counter() < started + seconds:
            try:
                connection = await target.connect()
            except ConnectionError:
                return
            while await target.ask(connection, load):
                if time.perf_counter() >= started + seconds:
                    break
            connection[1].close()

    await asyncio.gather(*(client() for _ in range(clients)))
    load.seconds = time.perf_counter() - started
    return load


async def open_load(target: Target, rate: float, seconds: float) -> Load:
    """So many requests a second, whether or not the earlier ones are answered."""
    load, started = Load(), time.perf_counter()
    idle: list[tuple[float, Connection]] = []  # since when; the newest last
    tasks: set[asyncio.Task[None]] = set()

    def close_idle() -> None:
        for _, (_, writer) in idle:
            writer.close()
        idle.clear()

    async def one() -> None:
        if idle and time.perf_counter() - idle[-1][0] > MAX_IDLE_SECONDS:
            close_idle()
        connection = idle.pop()[1] if idle else await target.connect()
        if await target.ask(connection, load):
            idle.append((time.perf_counter(), connection))
        else:
            connection[1].close()

    for number in itertools.count():
        due = started + number / rate
        if due > started + seconds:
            break
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        if len(tasks) >= MAX_OPEN:
            load.statuses["not sent"] += 1
            continue
        task = asyncio.create_task(one())
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    load.seconds = time.perf_counter() - started
    close_idle()
    return load
