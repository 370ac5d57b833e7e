"""``diptych balance`` in real processes: an ordinary folder, the same one again, and what it may be used for."""

import csv
import json
from pathlib import Path

from diptych.marks import carries_mark
from tests.cli.conftest import Terminal, folder


def test_a_set_is_balanced_trained_on_and_refused_as_a_test(diptych: Terminal, tmp_path: Path) -> None:
    data, vae, out, page = (
        folder(tmp_path / "data", {"red": 40, "green": 20}),
        *map(tmp_path.joinpath, ("vae", "out", "page.html")),
    )
    balance = ["balance", data, vae, "--per-class", 24, "-o"]
    fit, made, again, other, as_text, trained, evaluated, filled, no_synthesizer = diptych.several(
        ["fit", "vae", data, "-o", vae, "--size", 16, "--epochs", 20],
        [*balance, out, "--json", "--report", page],
        [*balance, out, "--json"],
        [*balance, out, "--seed", 1],
        [*balance, tmp_path / "text", "--seed", 1],
        ["fit", "recognizer", out, "-o", tmp_path / "recognizer", "--network", "convnet", "--epochs", 2, "--json"],
        ["evaluate", tmp_path / "recognizer", out],
        ["balance", data, vae, "--per-class", 20, "-o", tmp_path / "none"],
        ["balance", data, tmp_path / "recognizer", "--per-class", 24, "-o", tmp_path / "none"],
    )
    assert [result.code for result in (fit, made, again, as_text, trained)] == [0] * 5, made.err
    assert made.json["folder"] == str(out)
    assert made.json["verdict"] in ("filled", "partly", "nothing")
    assert again.json == made.json
    assert "already holds this set, finished" in again.err
    green = next(row for row in made.json["classes"] if row["class"] == "green")
    assert (green["real"], green["added"] + green["still missing"]) == (20, 4)
    assert page.read_bytes() == (out / "report.html").read_bytes()
    record = json.loads((out / "balance.json").read_text(encoding="utf-8"))
    assert len(record["generated"]) == green["added"]
    marked = {path.relative_to(out).as_posix() for path in out.glob("*/*.png") if carries_mark(path)}
    assert marked == set(record["generated"])
    if green["added"]:
        rows = list(csv.DictReader((out / "metadata.csv").open(encoding="utf-8")))
        assert [row["file_name"] for row in rows if row["origin"] == "synthetic"] == record["generated"]
        assert evaluated.code == 3
        assert f"{out}/{record['generated'][0]} is generated" in evaluated.err
    assert (other.code, "Name a new or an empty folder" in other.err) == (2, True)
    assert "Next: " in as_text.err
    assert trained.json["scores"]["accuracy"]["n"] == 9  # 15 % of the 60 real pictures
    assert (filled.code, "none is scarce" in filled.err) == (2, True)
    assert (no_synthesizer.code, "needs a synthesizer" in no_synthesizer.err) == (3, True)
    assert not (tmp_path / "none").exists()
