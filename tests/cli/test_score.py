"""``diptych score`` in real processes."""

from pathlib import Path

import numpy as np
from PIL import Image

from tests.cli.conftest import Done, Terminal, folder

SCORE = {"value", "low", "high", "n"}


def test_a_synthesizer_and_a_folder_are_scored(
    diptych: Terminal, fitted: tuple[Path, list[Done]], colours: Path, tmp_path: Path
) -> None:
    place = fitted[0]
    others = folder(tmp_path / "others", {"green": 15, "red": 15})
    page, made = tmp_path / "score.html", tmp_path / "made"
    judge = ["--judge", place / "recognizer"]
    scored, _, of_folder, plain, few, none = diptych.several(
        ["score", place / "gan", "--against", others, "--seen", colours, *judge, "-n", 40, "--json", "-o", page],
        ["sample", place / "gan", "-n", 30, "--label", "red", "-o", made],
        ["score", made, "--against", others, *judge, "--json"],
        ["score", made, "--against", others, *judge],
        ["score", place / "gan", "--against", others, "-n", 3],
        ["score", place / "recognizer", "--against", others],
    )
    assert scored.code == 0, scored.err
    told = scored.json
    assert set(told["kernel_distance"]) == SCORE
    assert told["frechet_distance"] is None
    assert set(told["real"]) == {"kernel_distance", "frechet_distance", "precision", "recall", "density", "coverage"}
    assert 0 <= told["real"]["coverage"]["value"] <= 1
    assert set(told["cas"]) == SCORE
    assert set(told["cas_per_class"]) == {"green", "red"}
    assert told["memorisation"]["verdict"] in ("clean", "look", "copies")
    assert told["pictures"]["generated"] == 40
    assert told["calls"] == 1
    assert len(told["extractor"]["sha256"]) == 64
    assert "<html" in page.read_text(encoding="utf-8")
    assert of_folder.code == 0, of_folder.err
    assert of_folder.json["pictures"]["generated"] == 30  # the sheet beside them is no picture
    assert of_folder.json["memorisation"] is None
    assert of_folder.json["extractor"] == told["extractor"]
    assert "kernel distance" in plain.out
    assert "--seen" in plain.out
    assert (few.code, none.code) == (2, 3)


def test_a_file_that_cannot_be_read_is_named(
    diptych: Terminal, fitted: tuple[Path, list[Done]], tmp_path: Path
) -> None:
    made = folder(tmp_path / "made", {"red": 22})
    rng = np.random.default_rng(0)
    for i in range(22):
        pixels = rng.integers(0, 256, (16, 16, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(made / "red" / f"{i:03d}.png")
    (made / "red" / "bad.png").write_bytes((made / "red" / "000.png").read_bytes()[:60])
    real = folder(tmp_path / "real", {"red": 22})
    done = diptych("score", made, "--against", real, "--judge", fitted[0] / "recognizer", "--json")
    assert done.code == 4, done.err
    assert "bad.png" in done.err
    assert done.json["pictures"]["generated"] == 22
