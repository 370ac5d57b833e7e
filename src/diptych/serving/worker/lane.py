"""A lane: a thread of the worker that answers one frame after the other, with models of its own."""

import queue
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from diptych.engine.processor.allocator import keep_freed_memory
from diptych.errors import DiptychError
from diptych.serving.worker.frames import Frame
from diptych.serving.worker.model_cache import ModelCache
from diptych.serving.worker.rows import Answer, Verb

IDLE_SECONDS = 2.0  # after which memory is given back
Send = Callable[[dict[str, Any], Sequence[bytes]], None]


def _nothing() -> None:
    pass


def _always(_: Any) -> bool:
    return True


class Lane(threading.Thread):
    """Answers frames in their order.

    Parameters
    ----------
    models, verbs
        What a frame's header names.
    prepare
        Called once in each thread that computes.
    """

    def __init__(
        self,
        name: str,
        models: ModelCache,
        verbs: Mapping[str, Verb],
        send: Send,
        prepare: Callable[[], None] = _nothing,
    ) -> None:
        super().__init__(name=f"diptych-{name}", daemon=True)
        self._models, self._verbs, self._send, self._prepare = models, verbs, send, prepare
        self._frames: queue.SimpleQueue[Frame] = queue.SimpleQueue()

    def put(self, frame: Frame) -> None:
        """Add a frame to those to be answered."""
        self._frames.put(frame)

    def run(self) -> None:
        """Answer for ever; memory that is free goes back to the system when the lane has nothing to do."""
        self._prepare()
        while True:
            frame: Frame | None = self._frames.get()
            with keep_freed_memory():
                while frame is not None:
                    value, parts = self._answer(frame.header, frame.parts)
                    self._send({"id": frame.header["id"], **value}, parts)
                    frame = self._next()

    def _next(self) -> Frame | None:
        """The next frame; ``None`` if there is none for a while."""
        with suppress(queue.Empty):
            return self._frames.get(timeout=IDLE_SECONDS)
        return None

    def _answer(self, header: dict[str, Any], parts: list[bytes]) -> tuple[dict[str, Any], list[bytes]]:
        try:
            model = self._models.get(header["model"])
            value, answers = self._compute(self._verbs[header["verb"]], model, header["options"], parts)
        except Exception as error:  # nothing that a picture or a model does may end the worker
            return {"error": _described(error)}, []
        return {"value": value}, answers

    def _compute(self, verb: Verb, model: Any, options: dict[str, Any], parts: list[bytes]) -> Answer:
        return verb(model, options, parts)


class SharingLane(Lane):
    """A lane for batches of pictures, of which each of some threads answers a few at a time, on one core.

    Threads that never wait for each other are twice as fast as those of one network, which meet after each operation.

    Parameters
    ----------
    threads
        How many there are.
    most
        Pictures that one of them takes at a time; ``None``: its share of the batch.
    is_shareable
        Whether several threads may use a model at once.
    """

    def __init__(
        self,
        name: str,
        models: ModelCache,
        verbs: Mapping[str, Verb],
        send: Send,
        prepare: Callable[[], None] = _nothing,
        *,
        threads: int,
        most: int | None = None,
        is_shareable: Callable[[Any], bool] = _always,
    ) -> None:
        super().__init__(name, models, verbs, send, prepare)
        self._threads, self._most, self._is_shareable = threads, most, is_shareable
        self._executor = ThreadPoolExecutor(threads, "diptych-share", prepare)

    def _compute(self, verb: Verb, model: Any, options: dict[str, Any], parts: list[bytes]) -> Answer:
        shares = self._threads if self._is_shareable(model) else 1
        size = -(-len(parts) // shares)
        size = size if shares == 1 or self._most is None else min(size, self._most)

        def share(start: int) -> Answer:
            rows = slice(start, start + size)
            return verb(model, {**options, "names": options["names"][rows]}, parts[rows])

        answers = list(self._executor.map(share, range(0, len(parts), size)))
        statuses = [status for value, _ in answers for status in value["statuses"]]
        return {"statuses": statuses}, [row for _, rows in answers for row in rows]


def _described(error: Exception) -> dict[str, str]:
    """The error's class and message for the web process; a bug's traceback goes to stderr."""
    if isinstance(error, DiptychError):
        kinds = [kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "diptych.errors"]
        return {"kind": kinds[0], "message": str(error)}
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return {"kind": "MemoryError", "message": "There is not enough memory for this request."}
    traceback.print_exc()
    summary = " ".join(f"{type(error).__name__}: {error}".split())
    return {"kind": "Exception", "message": f"This is a bug in Diptych ({summary}). Please report it."}
