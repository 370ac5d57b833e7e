"""What ``predict`` and ``evaluate`` report of confidence, prediction sets and out-of-distribution pictures."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from tests.cli.conftest import CommandResult, Terminal, folder, trained_pictures

SCORE = {"value", "low", "high", "n"}


def stripes(place: Path, n: int) -> Path:
    """Loose pictures of black and white stripes, unlike any training picture."""
    place.mkdir()
    for i in range(n):
        pixels = np.zeros((16, 16, 3), np.uint8)
        pixels[:, i % 3 :: 4] = 255
        Image.fromarray(pixels).save(place / f"{i:02d}.png")
    return place


def test_a_manifest_does_not_make_training_pictures_a_test(
    diptych: Terminal, fitted: tuple[Path, list[CommandResult]], tmp_path: Path
) -> None:
    model, colours, table = fitted[0] / "recognizer", fitted[0] / "colours", tmp_path / "table.csv"
    inspected, evaluated = diptych.several(
        ["inspect", colours, "--manifest", table],
        ["evaluate", model, colours, "--manifest", table, "--json"],
    )
    assert (inspected.code, evaluated.code) == (0, 0), evaluated.err
    assert evaluated.json["n"] == 48 - trained_pictures(model)
    lines = table.read_text(encoding="utf-8").splitlines()
    seen = [line for line in lines[1:] if line.split(",")[0] not in validation_paths(model)]
    table.write_text("\n".join([lines[0], *seen]), encoding="utf-8")
    (refused,) = diptych.several(["evaluate", model, colours, "--manifest", table])
    assert refused.code == 3
    assert "trained on all of these pictures" in refused.err
    assert refused.out == ""


def validation_paths(model: Path) -> set[str]:
    data = json.loads((model / "data.json").read_text(encoding="utf-8"))
    return set(data["validation"]["pictures"])


def test_confidence_prediction_sets_and_unknown_pictures_are_reported(
    diptych: Terminal, fitted: tuple[Path, list[CommandResult]], tmp_path: Path
) -> None:
    model, odd = fitted[0] / "recognizer", stripes(tmp_path / "odd", 30)
    (odd / "notes.png").write_text("no picture")
    known = folder(tmp_path / "known", {"green": 20, "red": 20})  # none that it was trained on
    page = tmp_path / "page.html"
    predicted, evaluated, as_text, on_training = diptych.several(
        ["predict", model, known, "--json"],
        ["evaluate", model, known, "--unknown", odd, "--json"],
        ["evaluate", model, known, "--unknown", odd, "-o", page],
        ["evaluate", model, fitted[0] / "colours", "--json"],
    )
    assert predicted.code == 0
    assert all(row["label"] in row["set"] and set(row["set"]) <= {"red", "green"} for row in predicted.lines)

    assert evaluated.code == as_text.code == 4  # one file is no picture
    scores = evaluated.json
    for name in ("accuracy", "calibration_error", "aurc", "coverage", "set_size", "unknown_auroc"):
        assert set(scores[name]) == SCORE, name
    assert scores["unknown_auroc"]["value"] > 0.9
    assert scores["unknown_auroc"]["n"] == 70
    assert scores["unknown_n"] == scores["unknown_tpr"]["n"] == 30
    assert scores["unknown_fpr"]["n"] == 40
    assert scores["unknown_tpr"]["value"] > scores["unknown_fpr"]["value"]
    assert scores["unknown_auroc_by_score"].keys() == {"response", "nearness", "detail"}
    assert "Of the 30 unknown pictures " in as_text.out
    assert "Its confidence " in as_text.out
    assert not any(word in as_text.out for word in ("AURC:", "aurc", "set size", "coverage", "temperature", "Next:"))
    assert as_text.err.count("Next:") == 1
    assert "Familiarity of known and unknown pictures" in page.read_text()

    assert on_training.json["n"] == 48 - trained_pictures(model)
    assert "are left out" in on_training.err
    assert not any(name.startswith("unknown") for name in on_training.json)
