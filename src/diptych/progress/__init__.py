"""Progress of long work on stderr: a bar on a terminal or in a notebook, elsewhere a line every ten seconds."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from diptych.progress.displays import Display, choose_display
from diptych.progress.work import Work

log = logging.getLogger("diptych")


class Bar:
    """A progress bar with rate and time left; a context manager.

    Bars may be nested: those that are open at the same time share one display.

    Parameters
    ----------
    title
        The work, such as "Decoding".
    total
        The amount of work, in ``unit``.
    unit
        What is counted; "%" and "‰" show only a share and the time left.
    """

    def __init__(self, title: str, total: int, unit: str = "pictures") -> None:
        self._work = Work(title, total, unit)

    def __enter__(self) -> Self:
        self._work.begin()
        _bars.open(self._work)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _bars.close(self._work)

    def advance(self, n: int = 1) -> None:
        """Add ``n`` to the amount done; may be called from any thread."""
        with _bars.lock:
            self._work.completed += n
            _bars.show(self._work)

    def skip(self, n: int) -> None:
        """Add ``n`` that an earlier run has done, which says nothing about this one's rate."""
        with _bars.lock:
            self._work.skipped += n
            self._work.completed += n
            _bars.show(self._work)

    def update(self, completed: int | None = None, total: int | None = None, note: str = "") -> None:
        """Set the amount done, the total, or the note at the bar's end ("loss 0.41"); the others keep their values."""
        with _bars.lock:
            if completed is not None:
                self._work.completed = completed
            if total is not None:
                self._work.total = total
            if note:
                self._work.note = note
            _bars.show(self._work)


@contextmanager
def enclosing_bar(title: str, steps: int) -> Iterator[Bar]:
    """A bar of some ``steps`` for work that trains models within: their bars are its note, their log only warnings."""
    with Bar(title, steps, "steps") as bar, _bars.enclosed_by(bar._work), only_warnings():
        yield bar


@contextmanager
def only_warnings() -> Iterator[None]:
    """Within the block, of what is logged only warnings are shown."""
    level = log.level
    log.setLevel(max(level, logging.WARNING))
    try:
        yield
    finally:
        log.setLevel(level)


@contextmanager
def without_bars() -> Iterator[None]:
    """Within the block, the bars that are opened are not shown."""
    before = _bars.silent
    hide_bars()
    try:
        yield
    finally:
        hide_bars(before)


def hide_bars(silent: bool = True) -> None:
    """Show no progress from now on; ``False`` shows it again."""
    _bars.silent = silent


class _Bars:
    """The bars that are open, and the display that they share, since a terminal can have only one."""

    def __init__(self) -> None:
        self.silent = False
        self.lock = threading.RLock()
        self._display: Display | None = None
        self._open: list[Work] = []
        self._enclosing: Work | None = None

    def open(self, work: Work) -> None:
        with self.lock:
            if self._enclosing is not None or self.silent:
                return
            if self._display is None:
                self._display = choose_display()
                self._display.start()
            self._open.append(work)
            self._display.add(work)

    def show(self, work: Work) -> None:
        if work in self._open and self._display is not None:
            self._display.show(work)
        elif self._enclosing is not None and self._display is not None:
            self._enclosing.note = work.brief()
            self._display.show(self._enclosing)

    def close(self, work: Work) -> None:
        """Close one bar; the display stops with the last one and leaves the finished bars on the screen."""
        with self.lock:
            if work not in self._open or self._display is None:
                return
            self._open.remove(work)
            work.end()
            self._display.end(work)
            if not self._open:
                self._display.stop()
                self._display = None

    @contextmanager
    def enclosed_by(self, work: Work) -> Iterator[None]:
        """Bars that are opened within the block become this one's note, unless they are somebody's note already."""
        before, self._enclosing = self._enclosing, self._enclosing or work
        try:
            yield
        finally:
            self._enclosing = before
            if before is None:
                work.note = ""


_bars = _Bars()
