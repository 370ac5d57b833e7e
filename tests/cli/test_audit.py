"""``diptych audit``: the folders that its verbs write, what they print, and what they refuse."""

import json
from pathlib import Path

import pytest

from diptych.cli.app import run
from diptych.data.images import Images
from diptych.recognition.recognizer import Recognizer
from tests.audit.planted import coloured_digits, shuffled_rows

ROWS = shuffled_rows(5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recognizer that goes by the background, and other pictures with their column "background"."""
    folder = tmp_path_factory.mktemp("audit")
    Recognizer("convnet", size=8, epochs=6).fit(coloured_digits(ROWS[:700], 0.95, 0), into=folder / "model")
    coloured_digits(ROWS[1400:], 0.5, 1).save(folder / "test")
    return folder


def audit(folder: Path, *options: str) -> int:
    return run(["audit", "bias", str(folder / "model"), str(folder / "test"), "-q", *options])


def test_the_report_and_its_json_are_written_and_the_verdict_is_printed_first(folder, capsys):
    assert audit(folder, "--groups", "background", "-o", str(folder / "out")) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[3] == "Learned a shortcut: the background."
    record = json.loads((folder / "out" / "audit.json").read_text(encoding="utf-8"))
    assert record["verdict"] == "shortcut"
    assert record["facts"]["columns"] == ["background"]
    page = (folder / "out" / "report.html").read_text(encoding="utf-8")
    assert "The background speaks against the label" in page
    assert "http" not in page.replace("http://www.w3.org", "").replace("http://purl.org", "")


def test_json_is_one_object(folder, capsys):
    assert audit(folder, "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert record["facts"]["shortcuts"][0]["worst group"]["accuracy"] < 0.5
    assert "diptych fit recognizer DATA -o NEW-MODEL --group background" in record["verdict_text"]


def test_what_is_not_there_is_refused_with_what_to_do(folder, capsys):
    assert audit(folder, "--groups", "camera") == 2
    assert "no column 'camera'. Their columns are: " in capsys.readouterr().err
    assert audit(folder, "-n", "50") == 2
    assert "seen and number are for synthesizers" in capsys.readouterr().err
    assert run(["audit", "bias", str(folder / "none"), str(folder / "test")]) != 0


def test_privacy_is_audited_with_the_names_of_both_sets_in_the_next_step(folder, capsys):
    coloured_digits(ROWS[:300], 0.95, 0).save(folder / "train")
    coloured_digits(ROWS[700:900], 0.95, 1).save(folder / "held out")
    sets = ["--seen", str(folder / "train"), "--unseen", str(folder / "held out")]
    Recognizer("convnet", size=8, epochs=2).fit(Images.open(folder / "train"), into=folder / "private")
    command = ["audit", "privacy", str(folder / "private"), *sets, "-q", "--references", "2"]
    assert run([*command, "-o", str(folder / "privacy")]) == 0
    assert "No sign of leaking." in capsys.readouterr().out
    record = json.loads((folder / "privacy" / "audit.json").read_text(encoding="utf-8"))
    assert record["verdict"] == "no_sign"
    assert f"diptych fit recognizer {folder / 'train'} -o NEW-MODEL --epsilon 8" in record["verdict_text"]
    assert record["scores"]["false_alarms"]["n"] == 100
    assert "Training pictures found at each rate of false alarms" in (folder / "privacy" / "report.html").read_text()
    assert run([*command[:-1], "3"]) == 2
    assert "even and at least 2, not 3" in capsys.readouterr().err
    assert run(["audit", "privacy", str(folder / "private"), *sets[:2], "--unseen", str(folder / "train"), "-q"]) == 3
    assert "of the unseen set" in capsys.readouterr().err
