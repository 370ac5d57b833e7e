import io
import logging
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from diptych import progress
from diptych.progress import Bar, displays, enclosing_bar


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


def test_a_log_file_gets_a_line_now_and_then_and_one_at_the_end(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(displays, "SECONDS_BETWEEN_LINES", 0.3)
    with Bar("Training", 1000) as bar:
        bar.skip(200)  # of an earlier run
        for _ in range(40):
            time.sleep(0.04)
            bar.advance(10)
        bar.update(note="loss 0.41")
    lines = capfd.readouterr().err.splitlines()
    assert 3 <= len(lines) <= 7
    assert all(line.startswith("Training: ") and "of 1,000 pictures" in line for line in lines)
    left = [int(line.split(" s left")[0].split()[-1]) for line in lines if " s left" in line]
    assert left, lines  # it takes 250 a second at most: 400 of 800 are done after 1.6 s
    assert all(1 <= seconds <= 6 for seconds in left)
    assert lines[-1].startswith("Training: 60%, 600 of 1,000 pictures")
    assert "in all" in lines[-1]
    assert lines[-1].endswith("loss 0.41")


def test_short_work_leaves_no_line_in_a_log_file(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(displays, "SECONDS_BETWEEN_LINES", 0.5)
    time.sleep(0.6)  # a pause in which a person thinks
    for _ in range(3):
        with Bar("Decoding", 3) as bar:
            bar.advance(3)
    assert capfd.readouterr() == ("", "")


def test_only_the_first_process_of_several_shows_progress(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(displays, "SECONDS_BETWEEN_LINES", 0.0)
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        with Bar(f"Rank {rank}", 2) as bar:
            bar.advance(2)
    assert set(capfd.readouterr().err.split(":")[0].split()) == {"Rank", "0"}


def test_bars_of_inner_work_are_the_note_of_the_outer_one(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(displays, "SECONDS_BETWEEN_LINES", 0.0)
    log = logging.getLogger("diptych")
    caplog.set_level(logging.INFO, "diptych")
    with enclosing_bar("Scoring", 4) as outer:
        outer.advance()
        log.info("an inner note")
        log.warning("an inner warning")
        with enclosing_bar("Judging", 2), Bar("Training", 10) as inner:
            inner.advance(5)
        outer.advance()
    log.info("an outer note")
    lines = capfd.readouterr().err.splitlines()
    assert {line.split(":")[0] for line in lines} == {"Scoring"}
    assert "Scoring: step 2 of 4, training 50%" in lines
    assert caplog.messages == ["an inner warning", "an outer note"]


NOTEBOOK = """
import time
from traitlets.config import Config
from IPython.core.displaypub import CapturingDisplayPublisher
from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance(config=Config(KERNEL), display_pub_class=CapturingDisplayPublisher)
shell.run_cell('''
import time
from diptych.progress import Bar, displays, enclosing_bar
with Bar("Decoding <1>", 40) as bar:
    for _ in range(4):
        time.sleep(0.25)
        bar.advance(10)
''').raise_error()
outputs = shell.display_pub.outputs
pages = [output["data"]["text/html"] for output in outputs if "text/html" in output["data"]]
places = {output["transient"]["display_id"] for output in outputs if output["transient"]}
print(len(pages), len(places))
print(pages[-1] if pages else "")
"""


@pytest.mark.parametrize("kernel", [True, False])
def test_a_notebook_shows_a_bar_in_one_place(tmp_path: Path, kernel: bool) -> None:
    config = "IPKernelApp={'parent_appname': 'notebook'}" if kernel else ""
    done = subprocess.run(
        [sys.executable, "-c", NOTEBOOK.replace("KERNEL", config)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        env={**os.environ, "IPYTHONDIR": str(tmp_path)},
    )
    count, page = done.stdout.splitlines()[:2] if kernel else (done.stdout.splitlines()[0], "")
    if kernel:
        updates, places = map(int, count.split())
        assert updates >= 4
        assert places == 1
        assert '<progress value="1.0000" max="1" aria-label="Decoding &lt;1&gt;">' in page
        assert "Decoding &lt;1&gt;: 100%, 40 of 40 pictures" in page
    else:
        assert count == "0 0"
