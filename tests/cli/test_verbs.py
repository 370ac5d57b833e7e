"""Each verb on small data: what it prints, what it writes, and its exit code."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from diptych.data.images import Images
from tests.cli.conftest import CommandResult, Terminal, folder, trained_pictures
from tests.marked import unsigned

SCORE = {"value", "low", "high", "n"}


def test_fit_prints_the_folder_and_the_scores(fitted: tuple[Path, list[CommandResult]], colours: Path) -> None:
    place, (first, again, gan, quiet) = fitted
    assert [result.code for result in (first, again, gan, quiet)] == [0, 0, 0, 0], first.err + gan.err
    printed = first.json
    assert printed["folder"] == str(place / "recognizer")
    assert printed["classes"] == ["green", "red"]
    assert printed["seen_pictures"] > 0
    assert printed["seconds"] > 0
    assert printed["left_out"] == 0
    assert set(printed["scores"]["accuracy"]) == SCORE
    assert "Size: 16 px" in first.err  # an automatic choice is reported
    assert "report.html" in again.out  # finished earlier: the same result, at once
    assert again.err.splitlines()[-1].startswith("Next: ")
    assert gan.json["kind"] == "gan"
    assert gan.json["size"] == 16
    assert quiet.err == ""
    for kind in ("recognizer", "gan"):
        names = {path.name for path in (place / kind).iterdir()}
        assert {"model.json", "weights.safetensors", "data.json", "README.md", "report.html"} <= names


def test_predict_and_evaluate_print_and_write_their_results(
    diptych: Terminal, fitted: tuple[Path, list[CommandResult]], colours: Path, tmp_path: Path
) -> None:
    model = fitted[0] / "recognizer"
    (tmp_path / "text.jpg").write_text("no picture")
    one, bad, gone = colours / "red" / "003.png", tmp_path / "text.jpg", tmp_path / "gone.png"
    flat = tmp_path / "flat"
    flat.mkdir()
    for i in (2, 1):
        (flat / f"{i}.png").write_bytes((colours / "green" / f"00{i}.png").read_bytes())
    three = folder(tmp_path / "three", {"red": 2, "green": 2, "blue": 2})
    html, table = tmp_path / "deep" / "page.html", tmp_path / "predictions.csv"
    as_json, tabs, written, unreadable, evaluated, as_text, new_class, wrong_kind = diptych.several(
        ["predict", model, one, bad, flat, gone, one, "--json"],
        ["predict", model, one, flat],
        ["predict", model, one, bad, "-o", table],
        ["predict", model, bad, gone],
        ["evaluate", model, colours, "--json"],
        ["evaluate", model, colours, "-o", html],
        ["evaluate", model, three],
        ["predict", fitted[0] / "gan", one],
    )
    assert as_json.code == 4
    assert [row["path"] for row in as_json.lines] == [
        str(path) for path in (one, bad, flat / "1.png", flat / "2.png", gone, one)
    ]
    first = as_json.lines[0]
    assert first.keys() == {"path", "label", "confidence", "probabilities", "unknown", "set"}
    assert first["probabilities"].keys() == {"red", "green"}
    assert sum(first["probabilities"].values()) == pytest.approx(1, abs=1e-4)
    assert first["label"] == max(first["probabilities"], key=first["probabilities"].get)
    assert as_json.lines[1].keys() == as_json.lines[4].keys() == {"path", "error"}
    assert "not there" in as_json.lines[4]["error"]
    assert as_json.lines[5] == first

    assert tabs.code == 0
    header, *cells = [line.split("\t") for line in tabs.out.splitlines()]
    assert header == ["path", "label", "confidence", "note"]
    assert [row[0] for row in cells] == [str(one), str(flat / "1.png"), str(flat / "2.png")]
    assert cells[0][1] == first["label"]
    assert float(cells[0][2]) == pytest.approx(first["confidence"], abs=1e-4)
    assert (written.code, written.out) == (4, "")
    table_rows = list(csv.DictReader(table.read_text().splitlines()))
    assert table_rows[0]["label"] == first["label"]
    assert table_rows[1]["error"]
    assert unreadable.code == 3

    assert evaluated.code == 0
    for name in ("accuracy", "macro_f1", "calibration_error"):
        assert set(evaluated.json[name]) == SCORE
    assert evaluated.json["n"] == 48 - trained_pictures(model)
    assert evaluated.json["per_class"].keys() == {"red", "green"}
    assert set(evaluated.json["per_class"]["red"]["recall"]) == SCORE
    assert "accuracy" in as_text.out
    assert html.read_text().startswith("<!doctype html>")
    assert new_class.code == 3
    assert "blue" in new_class.err
    assert wrong_kind.code == 3
    assert "holds a gan" in wrong_kind.err


def test_sample_writes_pictures_that_depend_on_seed_and_label(
    diptych: Terminal, fitted: tuple[Path, list[CommandResult]], tmp_path: Path
) -> None:
    model = fitted[0] / "gan"
    varied, one, more, another, later, table, unknown, recognizer = diptych.several(
        ["sample", model, "-n", 12, "--seed", 3, "-o", tmp_path / "varied", "--json"],
        ["sample", model, "-n", 3, "--label", "red", "-o", tmp_path / "one"],
        ["sample", model, "-n", 5, "--label", "red", "-o", tmp_path / "one"],
        ["sample", model, "-n", 5, "--label", "red", "--seed", 3, "-o", tmp_path / "one"],
        ["sample", model, "-n", 2, "--label", "red", "--seed", 3, "-o", tmp_path / "later"],
        ["sample", model, "-n", 12, "--seed", 3, "-o", tmp_path / "samples.parquet", "--json"],
        ["sample", model, "--label", "blue", "-o", tmp_path / "none"],
        ["sample", fitted[0] / "recognizer", "-o", tmp_path / "none"],
    )
    assert varied.json["pictures"] == 12
    assert Path(varied.json["grid"]).exists()
    files = sorted((tmp_path / "varied").glob("*/*.png"), key=lambda path: path.name)
    assert [path.name for path in files] == [f"{i:06d}.png" for i in range(12)]
    assert {path.parent.name for path in files} == {"red", "green"}
    assert (one.code, more.code, another.code, later.code) == (0, 0, 2, 0)
    assert str(tmp_path / "one") in one.out
    names = {path.name for path in (tmp_path / "one").glob("*.png")}
    assert names == {*(f"{i:06d}.png" for i in range(5)), "grid.png"}
    assert "3 of the 5 pictures were there" in more.err
    assert "seed 0 there, 3 here" in another.err
    # The first picture of seed 3 is the fourth picture of seed 0.
    fourth = unsigned(tmp_path / "one" / "000003.png")
    assert unsigned(tmp_path / "later" / "000000.png") == fourth
    assert (table.json["pictures"], Path(table.json["grid"]).exists()) == (12, True)
    folder, file = (Images.open(tmp_path / name) for name in ("varied", "samples.parquet"))
    assert (folder.pixels(16) == file.pixels(16)).all()
    assert set(folder.origins) == set(file.origins) == {"synthetic"}
    assert unknown.code == 2
    assert "red" in unknown.err
    assert recognizer.code == 3
    assert not (tmp_path / "none").exists()


def test_inspect_prints_and_writes_its_report(diptych: Terminal, colours: Path, tmp_path: Path) -> None:
    as_json, as_text = diptych.several(
        ["inspect", colours, "--json"], ["inspect", colours, "-o", tmp_path / "page.html"]
    )
    assert as_json.json["facts"]["pictures"] == 48
    assert (as_text.code, as_json.code) == (0, 0)
    assert "48" in as_text.out
    assert (tmp_path / "page.html").exists()


def test_a_closed_output_pipe_is_no_error(fitted: tuple[Path, list[CommandResult]], colours: Path) -> None:
    many = [str(colours)] * 60
    with subprocess.Popen(
        [sys.executable, "-m", "diptych", "predict", str(fitted[0] / "recognizer"), *many, "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["label"]
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(60) == 141


def test_a_name_that_is_not_utf8_is_printed_escaped(
    diptych: Terminal, fitted: tuple[Path, list[CommandResult]], colours: Path, tmp_path: Path
) -> None:
    odd = os.fsencode(tmp_path) + b"/caf\xe9.png"
    Path(os.fsdecode(odd)).write_bytes((colours / "red" / "000.png").read_bytes())
    result = diptych("predict", fitted[0] / "recognizer", os.fsdecode(odd), tmp_path, PYTHONIOENCODING="ascii")
    assert result.code == 0, result.err
    assert [line.split("\t")[0] for line in result.out.splitlines()[1:]] == [f"{tmp_path}/caf\\xe9.png"] * 2
