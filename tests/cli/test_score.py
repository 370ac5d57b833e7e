"""``diptych score`` in real processes."""

from pathlib import Path

import numpy as np
from PIL import Image

from diptych.engine import checkpoint
from tests.cli.conftest import CommandResult, Terminal, folder

SCORE = {"value", "low", "high", "n"}
WORDS = ("close", "recognisable", "repetitive", "noise", "copies", "same")


def test_a_synthesizer_and_a_folder_are_scored(
    diptych: Terminal, fitted: tuple[Path, list[CommandResult]], colours: Path, tmp_path: Path
) -> None:
    place = fitted[0]
    others = folder(tmp_path / "others", {"green": 15, "red": 15})
    page, samples = tmp_path / "score.html", tmp_path / "samples"
    judge = ["--judge", place / "recognizer"]
    checkpoint.claim(tmp_path / "begun", {"kind": "gan"})
    of_synthesizer, _, of_folder, as_text, too_few, wrong_kind, begun = diptych.several(
        ["score", place / "gan", "--against", others, "--seen", colours, *judge, "-n", 40, "--json", "-o", page],
        ["sample", place / "gan", "-n", 30, "--label", "red", "-o", samples],
        ["score", samples, "--against", others, *judge, "--json"],
        ["score", samples, "--against", others, *judge, "--minutes", "0.5"],
        ["score", place / "gan", "--against", others, "-n", 3],
        ["score", place / "recognizer", "--against", others],
        ["score", tmp_path / "begun", "--against", others],
    )
    assert of_synthesizer.code == 0, of_synthesizer.err
    scores = of_synthesizer.json
    assert set(scores["kernel_distance"]) == SCORE
    assert scores["frechet_distance"] is None
    assert set(scores["real"]) == {"kernel_distance", "frechet_distance", "precision", "recall", "density", "coverage"}
    assert 0 <= scores["real"]["coverage"]["value"] <= 1
    assert set(scores["cas"]) == SCORE
    assert set(scores["cas_per_class"]) == {"green", "red"}
    assert scores["memorisation"]["verdict"] in ("clean", "look", "copies")
    assert scores["pictures"]["generated"] == 40
    assert scores["calls_per_picture"] == 1
    assert len(scores["extractor"]["sha256"]) == 64
    assert "<html" in page.read_text(encoding="utf-8")
    assert of_folder.code == 0, of_folder.err
    assert of_folder.json["pictures"]["generated"] == 30  # the sheet beside them is no picture
    assert of_folder.json["memorisation"] is None
    assert of_folder.json["extractor"] == scores["extractor"]
    assert of_folder.json["verdict"] in WORDS
    text = of_folder.json["verdict_text"]
    assert "30 pictures on a side are few" in text
    assert "30 pictures on a side are few" in of_folder.json["findings"][0]
    assert f"against {others}" in text
    title, _, _, sentence = as_text.out.splitlines()[:4]
    assert title == "30 generated pictures against 30 real ones"
    assert text.startswith(sentence)
    assert "kernel distance" in as_text.out
    assert "--seen" in as_text.out
    assert (too_few.code, wrong_kind.code, begun.code) == (2, 3, 3)
    assert "holds a run that has not finished" in begun.err


def test_a_file_that_cannot_be_read_is_named(
    diptych: Terminal, fitted: tuple[Path, list[CommandResult]], tmp_path: Path
) -> None:
    generated = folder(tmp_path / "generated", {"red": 22})
    rng = np.random.default_rng(0)
    for i in range(22):
        pixels = rng.integers(0, 256, (16, 16, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(generated / "red" / f"{i:03d}.png")
    (generated / "red" / "bad.png").write_bytes((generated / "red" / "000.png").read_bytes()[:60])
    real = folder(tmp_path / "real", {"red": 22})
    (result,) = diptych.several(["score", generated, "--against", real, "--judge", fitted[0] / "recognizer", "--json"])
    assert result.code == 4, result.err
    assert "bad.png" in result.err
    assert result.json["pictures"]["generated"] == 22
