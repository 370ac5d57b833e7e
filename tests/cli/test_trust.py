"""What ``predict`` and ``evaluate`` tell of confidence, sets and the unknown."""

from pathlib import Path

import numpy as np
from PIL import Image

from tests.cli.conftest import Done, Terminal, folder

SCORE = {"value", "low", "high", "n"}


def stripes(place: Path, n: int) -> Path:
    """Loose pictures, black and white, of nothing that was learned."""
    place.mkdir()
    for i in range(n):
        pixels = np.zeros((16, 16, 3), np.uint8)
        pixels[:, i % 3 :: 4] = 255
        Image.fromarray(pixels).save(place / f"{i:02d}.png")
    return place


def test_confidence_sets_and_the_unknown(diptych: Terminal, fitted: tuple[Path, list[Done]], tmp_path: Path) -> None:
    model, odd = fitted[0] / "recognizer", stripes(tmp_path / "odd", 30)
    (odd / "notes.png").write_text("no picture")
    known = folder(tmp_path / "known", {"red": 20, "green": 20})
    page = tmp_path / "page.html"
    rows, scored, plain, seen = diptych.several(
        ["predict", model, known, "--json"],
        ["evaluate", model, known, "--unknown", odd, "--json"],
        ["evaluate", model, known, "--unknown", odd, "-o", page],
        ["evaluate", model, fitted[0] / "colours", "--json"],
    )
    assert rows.code == 0
    assert all(row["label"] in row["set"] and set(row["set"]) <= {"red", "green"} for row in rows.lines)

    assert scored.code == plain.code == 4  # one file is no picture
    told = scored.json
    for name in ("accuracy", "calibration_error", "aurc", "coverage", "set_size", "unknown_auroc"):
        assert set(told[name]) == SCORE, name
    assert told["unknown_auroc"]["value"] > 0.9
    assert told["unknown_auroc"]["n"] == 70
    assert told["unknown_n"] == told["unknown_tpr"]["n"] == 30
    assert told["unknown_fpr"]["n"] == 40
    assert told["unknown_tpr"]["value"] > told["unknown_fpr"]["value"]
    assert told["unknown_auroc_by_sign"].keys() == {"energy", "nearness", "detail"}
    assert "Detection of unknown pictures, by score" in plain.out
    assert "Familiarity of known and unknown pictures" in page.read_text()

    assert "trained on" in seen.json["findings"][0]
    assert not any(name.startswith("unknown") for name in seen.json)
