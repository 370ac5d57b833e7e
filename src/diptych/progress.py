"""Progress bars on stderr, drawn only where that is a terminal."""

import os
import sys
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_UNCOUNTED = ("", "%", "‰")  # units whose count and rate mean nothing to a reader


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
        self.title, self.total, self.unit = title, total, unit
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._progress = _display.open()
        if self._progress:
            self._task = self._progress.add_task(self.title, total=self.total, unit=self.unit, note="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress:
            self._progress = None
            _display.close()

    def advance(self, n: int = 1) -> None:
        """Add ``n`` to the amount done; may be called from any thread."""
        if self._progress and self._task is not None:
            self._progress.advance(self._task, n)

    def update(self, completed: int | None = None, total: int | None = None, note: str = "") -> None:
        """Set the amount done, the total, or the note at the bar's end ("loss 0.41"); the others keep their values."""
        if self._progress and self._task is not None:
            self._progress.update(self._task, completed=completed, total=total)
            if note:
                self._progress.update(self._task, note=note)


def hide_bars(silent: bool = True) -> None:
    """Draw no bars from now on, even on a terminal; ``False`` draws them again."""
    _display.silent = silent


class _Display:
    """The live display that all open bars share, since a terminal can have only one."""

    def __init__(self) -> None:
        self.silent = False
        self._lock = threading.Lock()
        self._open = 0
        self._progress: Progress | None = None

    def open(self) -> "Progress | None":
        """The display, started with its first bar; ``None`` where no bar is drawn."""
        if self.silent or not sys.stderr or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
            return None
        with self._lock:
            if self._progress is None:
                self._progress = _progress()
                self._progress.start()
            self._open += 1
            return self._progress

    def close(self) -> None:
        """Close one bar; the display stops with the last one and leaves the finished bars on the screen."""
        with self._lock:
            self._open -= 1
            if self._open == 0 and self._progress is not None:
                self._progress.stop()
                self._progress = None


_display = _Display()


def _progress() -> "Progress":
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskProgressColumn, TextColumn
    from rich.progress import TimeRemainingColumn as TimeLeft
    from rich.text import Text

    class Rate(ProgressColumn):
        """Count, unit and rate."""

        def render(self, task: Task) -> Text:
            unit = task.fields["unit"]
            if unit in _UNCOUNTED:
                return Text()
            speed = task.finished_speed or task.speed
            rate = f", {speed:,.0f}/s" if speed else ""
            return Text(f"{task.completed:,.0f} of {task.total or 0:,.0f} {unit}{rate}", style="cyan")

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=28),
        TaskProgressColumn(),
        Rate(),
        TimeLeft(compact=True, elapsed_when_finished=True),
        TextColumn("{task.fields[note]}", markup=False, style="dim"),
        console=Console(stderr=True),
    )
