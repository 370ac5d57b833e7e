import io
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from diptych import progress
from diptych.progress import Bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Not a fixture, since pytest replaces stderr between set-up and test."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "140")
    return terminal


def test_no_bar_is_drawn_on_a_pipe(capfd: pytest.CaptureFixture[str]) -> None:
    with Bar("Decoding", 3) as bar:
        bar.advance()
        bar.update(completed=3, note="loss 0.4")
    assert capfd.readouterr() == ("", "")


def test_a_terminal_shows_title_count_and_note(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_a_terminal(monkeypatch)
    with Bar("Decoding", 40) as bar, ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: bar.advance(), range(40)))
        bar.update(note="loss 0.41")
    output = terminal.getvalue()
    assert "Decoding" in output
    assert "40 of 40 pictures" in output
    assert "100%" in output
    assert "loss 0.41" in output


def test_a_share_is_shown_without_a_count(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_a_terminal(monkeypatch)
    with Bar("Training", 1000, unit="‰") as bar:
        bar.update(500)
    assert "50%" in terminal.getvalue()
    assert "‰" not in terminal.getvalue()


def test_nested_bars_share_one_display(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_a_terminal(monkeypatch)
    with Bar("Training", 10) as outer:
        with Bar("Decoding", 2) as inner:
            inner.advance(2)
        outer.advance(10)
    output = terminal.getvalue()
    assert "Training" in output
    assert "Decoding" in output
    with Bar("Again", 1):
        pass
    assert "Again" in terminal.getvalue()


@pytest.mark.parametrize("how", ["quiet", "dumb"])
def test_no_bar_is_drawn_on_a_quiet_or_dumb_terminal(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    terminal = on_a_terminal(monkeypatch)
    if how == "dumb":
        monkeypatch.setenv("TERM", "dumb")
    progress.hide_bars(how == "quiet")
    try:
        with Bar("Decoding", 3) as bar:
            bar.advance(3)
    finally:
        progress.hide_bars(False)
    assert terminal.getvalue() == ""
