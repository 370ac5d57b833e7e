"""Where progress is shown: on a terminal, in a notebook, or as lines in a log file."""

import os
import sys
import time
from typing import TYPE_CHECKING, Any

from diptych.escaping import for_html, for_terminal
from diptych.progress.work import Work

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

SECONDS_BETWEEN_LINES = 10.0
SECONDS_BETWEEN_PAINTINGS = 0.2  # of a notebook's bars


class Display:
    """Shows the bars that are open at the same time; this one shows nothing."""

    def start(self) -> None:
        """Before the first bar."""

    def add(self, work: Work) -> None:
        """A bar is opened."""

    def show(self, work: Work) -> None:
        """A bar has changed."""

    def end(self, work: Work) -> None:
        """A bar is closed."""

    def stop(self) -> None:
        """After the last bar."""


def choose_display() -> Display:
    """The display that suits what this process writes to; of the processes of ``torchrun`` only the first one shows."""
    if not sys.stderr or os.environ.get("RANK", "0") != "0":
        return Display()
    if _in_notebook():
        return Notebook()
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        return Terminal()
    return Lines()


class Lines(Display):
    """A line every ten seconds, of whatever changes then, and one at the end of what such a line has announced."""

    # Of the process: many short bars one after the other give a line every ten seconds, too.
    last_line = last_end = time.monotonic()

    def __init__(self) -> None:
        self._announced: list[Work] = []

    def start(self) -> None:
        """After a pause, wait ten seconds again: short work leaves no line."""
        if time.monotonic() - Lines.last_end >= SECONDS_BETWEEN_LINES:
            Lines.last_line = time.monotonic()

    def show(self, work: Work) -> None:
        """Print a line if it is time; of what is all done, its end is the line."""
        if time.monotonic() - Lines.last_line >= SECONDS_BETWEEN_LINES:
            self._announced.append(work)
            if work.share < 1:
                self._print(work)

    def end(self, work: Work) -> None:
        """Print how it ended, if it was announced."""
        if work in self._announced:
            self._print(work)

    def stop(self) -> None:
        """A pause begins."""
        Lines.last_end = time.monotonic()

    def _print(self, work: Work) -> None:
        Lines.last_line = time.monotonic()
        print(for_terminal(work.line()), file=sys.stderr, flush=True)


class Terminal(Display):
    """Bars at the bottom of the terminal, by rich."""

    def __init__(self) -> None:
        self._progress: Progress = _rich_progress()
        self._tasks: dict[Work, TaskID] = {}

    def start(self) -> None:
        """Begin to draw."""
        self._progress.start()

    def add(self, work: Work) -> None:
        """A new line at the bottom."""
        self._tasks[work] = self._progress.add_task(for_terminal(work.title), total=max(work.total, 1), work=work)

    def show(self, work: Work) -> None:
        """Move the bar; it is drawn ten times a second at most."""
        self._progress.update(self._tasks[work], completed=work.completed, total=max(work.total, 1))

    def end(self, work: Work) -> None:
        """The bar stays until the last one is closed, and then on the screen."""
        self.show(work)

    def stop(self) -> None:
        """Leave the bars on the screen."""
        self._progress.stop()


class Notebook(Display):
    """Bars in the output of a notebook's cell, drawn by the browser."""

    def __init__(self) -> None:
        self._works: list[Work] = []
        self._handle: Any = None
        self._painted = 0.0

    def start(self) -> None:
        """Take a place in the output."""
        from IPython.display import HTML, display

        self._handle = display(HTML(""), display_id=True)

    def add(self, work: Work) -> None:
        """A new line."""
        self._works.append(work)
        self._paint()

    def show(self, work: Work) -> None:
        """Paint all bars, some times a second."""
        if time.monotonic() - self._painted >= SECONDS_BETWEEN_PAINTINGS:
            self._paint()

    def end(self, work: Work) -> None:
        """Paint it as it ended."""
        self._paint()

    def _paint(self) -> None:
        from IPython.display import HTML

        self._painted = time.monotonic()
        self._handle.update(HTML("".join(map(_html_line, self._works))))


def _html_line(work: Work) -> str:
    return (
        f'<div><progress value="{work.share:.4f}" max="1" aria-label="{for_html(work.title)}"></progress> '
        f"{for_html(work.line())}</div>"
    )


def _in_notebook() -> bool:
    """Whether this is the kernel of a notebook, which shows HTML; IPython in a terminal is none."""
    ipython: Any = sys.modules.get("IPython")
    shell = ipython and ipython.get_ipython()
    return shell is not None and "IPKernelApp" in shell.config


def _rich_progress() -> "Progress":
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskProgressColumn, TextColumn
    from rich.text import Text

    class Details(ProgressColumn):
        """Count, rate and time left, then the note."""

        def render(self, task: Task) -> Text:
            work: Work = task.fields["work"]
            return Text(f"{work.details()}  ", style="cyan").append(for_terminal(work.note), style="dim")

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=28),
        TaskProgressColumn(),
        Details(),
        console=Console(stderr=True),
    )
