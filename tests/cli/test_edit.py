"""``diptych edit``: what it prints, what it writes, and its exit codes."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diptych.data.images import Images
from tests.cli.conftest import CommandResult, Terminal


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def mask(path: Path, side: int = 16) -> Path:
    """White on the right half."""
    white = np.zeros((side, side), np.uint8)
    white[:, side // 2 :] = 255
    Image.fromarray(white).save(path)
    return path


@pytest.fixture(scope="module")
def vae(diptych: Terminal, colours: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a VAE of the colours, which encodes without a search."""
    model = tmp_path_factory.mktemp("models") / "vae"
    (fit,) = diptych.several(["fit", "vae", colours, "-o", model, "--size", 16, "--epochs", 1, "--latent", 4])
    assert fit.code == 0, fit.err
    return model


def test_every_edit_writes_its_pictures_and_a_record(
    diptych: Terminal, vae: Path, colours: Path, tmp_path: Path
) -> None:
    model, one, two = vae, colours / "red" / "000.png", colours / "red" / "001.png"
    half = mask(tmp_path / "half.png")
    red = ["--label", "red", "--json"]
    results = diptych.several(
        ["edit", "reconstruct", model, one, two, "-o", tmp_path / "a", *red],
        ["edit", "interpolate", model, one, two, "--steps", 5, "--mp4", "-o", tmp_path / "b", *red],
        ["edit", "traverse", model, one, "--directions", 2, "--steps", 3, "-o", tmp_path / "c", *red],
        ["edit", "inpaint", model, one, "--mask", half, "-o", tmp_path / "d", *red],
        ["edit", "blend", model, one, "--seed", 3, "-o", tmp_path / "e", *red],
        ["edit", "restyle", model, one, "--to", "green", "--strength", 0.5, "-o", tmp_path / "f", *red],
        ["edit", "blend", model, one, two, "--mask", half, "-o", tmp_path / "e"],
        ["edit", "reconstruct", model, colours, "-o", tmp_path / "g"],
    )
    assert [result.code for result in results] == [0] * 8, [result.err for result in results]
    for result, count, name in zip(results[:6], (2, 5, 6, 1, 1, 1), "abcdef", strict=True):
        assert result.json["pictures"] == len(result.json["files"]) == count
        assert result.json["folder"] == str(tmp_path / name)
        with Image.open(result.json["grid"]) as sheet:
            assert min(sheet.size) > 128  # captions and all
        assert '<div class="verdict">' in Path(result.json["report"]).read_text()
        assert all(pixels(Path(row["path"])).shape == (16, 16, 3) for row in result.json["files"])
    reconstructed, interpolated, _, inpainted, _, restyled = (result.json for result in results[:6])
    assert reconstructed["files"][1].items() >= {"source": str(two), "label": "red", "origin": "synthetic"}.items()
    assert interpolated["files"][1]["position"] == 0.25
    with Image.open(interpolated["gif"]) as animation:
        assert animation.n_frames == 8  # there and back
    assert Path(interpolated["mp4"]).read_bytes()[4:8] == b"ftyp"
    assert "data:image/gif;base64," in Path(interpolated["report"]).read_text()
    assert inpainted["files"][0]["origin"] == "composite"
    page = Path(inpainted["report"]).read_text()
    assert page.index("before</figcaption>") < page.index("mask, in grey") < page.index("after</figcaption>")
    assert np.array_equal(pixels(Path(inpainted["files"][0]["path"]))[:, :8], pixels(one)[:, :8])
    assert restyled["files"][0]["label"] == "green"
    reopened = Images.open(tmp_path / "d")
    assert reopened.origins.tolist() == ["composite"]
    assert reopened.groups["source"].tolist() == [str(one)]
    # A second edit replaces the first; labels come from the folders of a data set.
    assert f"1 picture in {tmp_path / 'e'}" in results[6].out
    assert json.loads((tmp_path / "e" / "edit.json").read_text())["files"][0]["source"] == f"{one} + {two}"
    assert Images.open(tmp_path / "g").counts() == {"green": 24, "red": 24}


def test_an_impossible_edit_is_refused_with_the_reason(
    diptych: Terminal, fitted: tuple[Path, list[CommandResult]], vae: Path, colours: Path, tmp_path: Path
) -> None:
    model, one, two = vae, colours / "red" / "000.png", colours / "red" / "001.png"
    (tmp_path / "text.jpg").write_text("no picture")
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "000000.png").write_bytes(one.read_bytes())
    red, new = ["--label", "red"], ["-o", tmp_path / "new"]
    large = mask(tmp_path / "large.png", 20)
    results = diptych.several(
        ["edit", "inpaint", model, one, "--mask", large, *red, *new],
        ["edit", "restyle", model, one, "--to", "blue", *red, *new],
        ["edit", "reconstruct", fitted[0] / "gan", one, *new],
        ["edit", "interpolate", model, one, *red, *new],
        ["edit", "blend", model, one, two, one, *red, *new],
        ["edit", "reconstruct", model, one, *red, "-o", taken],
        ["edit", "reconstruct", model, one, colours, *red, *new],
        ["edit", "reconstruct", fitted[0] / "recognizer", one, *new],
        ["edit", "reconstruct", model, tmp_path / "text.jpg", *new],
        ["edit", "reconstruct", model, one, tmp_path / "text.jpg", *red, "-o", tmp_path / "part"],
    )
    expected = [
        (2, "20 × 20"),
        (2, "The classes are: green, red"),
        (2, "needs a label"),
        (2, "two pictures or more"),
        (2, "not 3"),
        (2, "is not empty"),
        (2, "is a folder"),
        (3, "holds a recognizer"),
        (3, "text.jpg"),
        (4, "text.jpg"),
    ]
    errors = [result.err for result in results]
    assert [result.code for result in results] == [code for code, _ in expected], errors
    assert all(message in error for error, (_, message) in zip(errors, expected, strict=True)), errors
    assert not (tmp_path / "new").exists()
    assert (tmp_path / "part" / "000000.png").exists()
    assert (taken / "000000.png").read_bytes() == one.read_bytes()


def test_a_folder_with_anything_that_no_edit_wrote_is_refused_by_name(
    diptych: Terminal, vae: Path, colours: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = ["edit", "reconstruct", vae, "--label", "red", colours / "red" / "000.png", "-o"]
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "edit.json").write_text('{"tool": "mine"}')
    first, again, not_ours = diptych.several([*command, out], [*command, out], [*command, foreign])
    assert [first.code, again.code, not_ours.code] == [0, 0, 2]
    assert "is not what diptych edit writes" in not_ours.err
    assert (foreign / "edit.json").read_text() == '{"tool": "mine"}'
    (out / "000002.png").write_bytes(b"mine")
    (refused,) = diptych.several([*command, out])
    assert refused.code == 2
    assert "000002.png was not written by this command" in refused.err
    assert (out / "000002.png").read_bytes() == b"mine"


def test_results_never_overwrite_an_input_picture(diptych: Terminal, vae: Path, colours: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ["edit", "reconstruct", vae, "--label", "red", "-o", out]
    first, refused = diptych.several([*command, colours / "red" / "000.png"], [*command, out / "000000.png"])
    assert first.code == 0
    assert refused.code == 2
    assert "to be edited" in refused.err
