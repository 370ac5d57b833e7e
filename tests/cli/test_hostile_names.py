"""Names of classes, files and columns that attack what shows them, through the verbs that show them."""

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from diptych.escaping import for_html, for_markdown, for_spreadsheet, for_terminal
from tests.cli.conftest import CommandResult, Terminal, picture

TITLE = "\x1b]0;owned\x07"
CLASSES = (f"=HYPERLINK(1)|<script>alert(1)<\u202e{TITLE}", "-cat`**\n# title")
COLUMN = "<b>\x1b[2J"
HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]")  # all that is not a tab or a line break


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hostile") / "=photos"
    for colour, name in zip(("red", "green"), CLASSES, strict=True):
        folder = root / name.replace("/", "_")
        folder.mkdir(parents=True)
        for i in range(14):
            picture(colour, i).save(folder / f"+{i}\x1b[31m.png")
        (folder / "-2+3\x9b2J.png").write_text("no picture")
    return root


@pytest.fixture(scope="module")
def ran(diptych: Terminal, hostile: Path) -> tuple[Path, list[CommandResult]]:
    place = hostile.parent
    model, answers = place / "model", place / "answers.csv"
    recognizer = ["fit", "recognizer", "=photos", "-o", model, "--network", "convnet", "--epochs", 1, "--size", 8]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        results = diptych.several(
            recognizer,
            ["fit", "vae", "=photos", "-o", place / "vae", "--epochs", 1, "--size", 8],
            ["predict", model, "=photos", "-o", answers],
            ["predict", model, "=photos"],
            ["predict", model, "=photos", "--json"],
            ["inspect", "=photos", "-o", place / "inspection.html", "--manifest", place / "manifest.csv"],
            ["evaluate", model, "=photos", "-o", place / "evaluation.html"],
            ["predict", model, f"missing{TITLE}\n.png"],
            ["sample", place / "vae", "-n", 2, "-o", place / "samples", "--label", f"no such\n{TITLE}"],
        )
    return place, results


def test_no_verb_sends_control_characters_to_the_terminal(ran: tuple[Path, list[CommandResult]]) -> None:
    _, results = ran
    assert [result.code for result in results] == [4, 4, 4, 4, 4, 0, 4, 3, 2], [result.err for result in results]
    for result in results:
        assert HIDDEN.search(result.out + result.err) is None
        assert "Traceback" not in result.err
        assert "bug" not in result.err
    shown = results[3].out
    assert for_terminal(CLASSES[0]) in shown
    assert {len(line.split("\t")) for line in shown.splitlines()} <= {1, 2, 3, 4}
    assert len(shown.splitlines()) == 31  # a header and a line for each picture
    assert {row["label"] for row in results[4].lines if "label" in row} <= set(CLASSES)
    assert r"missing\x1b]0;owned\x07\n.png" in results[7].err


def test_predictions_have_no_formula_and_read_back(ran: tuple[Path, list[CommandResult]]) -> None:
    place, results = ran
    with (place / "answers.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(cell == for_spreadsheet(cell.removeprefix("'")) for row in rows for cell in row.values())
    assert all(row["path"].startswith("'=photos/") for row in rows)
    read_back = [(row["path"].removeprefix("'"), row["label"].removeprefix("'")) for row in rows]
    assert read_back == [(row["path"], row.get("label", "")) for row in results[4].lines]


def test_a_manifest_has_no_formula_and_is_read_as_it_was(
    ran: tuple[Path, list[CommandResult]], diptych: Terminal
) -> None:
    place, _ = ran
    with (place / "manifest.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 30
    assert all(for_spreadsheet(cell) == cell for row in rows for cell in row.values())
    assert rows[0]["path"].startswith(r"\u003dphotos/")


def texts(place: Path) -> Iterator[tuple[str, str]]:
    for name in (
        "model/README.md",
        "model/report.html",
        "vae/README.md",
        "vae/report.html",
        "inspection.html",
        "evaluation.html",
    ):
        yield name, (place / name).read_text(encoding="utf-8")


def test_pages_and_cards_show_the_names_as_text(ran: tuple[Path, list[CommandResult]]) -> None:
    place, _ = ran
    for name, text in texts(place):
        assert HIDDEN.search(text) is None, name
        assert "<script" not in text.replace(r"\<script", ""), name
        assert "\n# title" not in text, name
        escape = for_html if name.endswith(".html") else for_markdown
        assert escape(CLASSES[0]) in text, name
    facts = json.loads((place / "model" / "model.json").read_text(encoding="utf-8"))
    assert set(facts["classes"]) == set(CLASSES)
