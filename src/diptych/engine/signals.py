"""SIGTERM and SIGINT as a wish that the loop reads between two steps."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

_WATCHED = (signal.SIGTERM, signal.SIGINT)


class Signals:
    """Within the block, the first SIGTERM or SIGINT is only noted; a second SIGINT interrupts at once.

    Python delivers signals to the main thread alone; elsewhere nothing is watched.

    Attributes
    ----------
    received
        The number of the signal that came, or 0.
    """

    def __init__(self) -> None:
        self.received = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in _WATCHED}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = number
