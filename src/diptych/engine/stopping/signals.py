"""SIGTERM and SIGINT recorded, for the loop to check between two steps, or held back while a file is written."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

_HANDLED = (signal.SIGTERM, signal.SIGINT)


class Signals:
    """Within the block, the first SIGTERM or SIGINT is only recorded; a second SIGINT raises KeyboardInterrupt.

    Python delivers signals to the main thread alone; in other threads this does nothing.

    Attributes
    ----------
    received
        The number of the signal received, or 0.
    """

    def __init__(self) -> None:
        self.received = 0
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._record) for number in _HANDLED}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _record(self, number: int, frame: FrameType | None) -> None:
        if self.received and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = number


@contextmanager
def held() -> Iterator[None]:
    """Within the block, SIGTERM and SIGINT wait; after it they are handled as they would have been.

    An exception that a handler raises within native code which calls back into Python, as torch.save does, can end the
    whole process.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[int] = []
    previous = {number: signal.signal(number, lambda number, _: waiting.append(number)) for number in _HANDLED}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        for received in waiting:
            signal.raise_signal(received)
