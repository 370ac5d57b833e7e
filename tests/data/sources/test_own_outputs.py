"""What Diptych wrote into a person's folder besides pictures is passed over."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diptych import VAE, Images
from diptych.cli.app import run
from diptych.cli.paths import image_sets


def picture(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)).save(path)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "vae"
    VAE(epochs=1, latent=2, batch=4).fit(Images.open("digits")[:20], into=folder)
    return folder


@pytest.fixture
def photos(tmp_path: Path, model: Path) -> Path:
    """Class folders, with samples and edits inside."""
    photos = tmp_path / "photos"
    for i in range(6):
        picture(photos / ("cat", "dog")[i % 2] / f"{i}.png", i)
    picture(photos / "cat" / "grid.png", 99)  # a person's own
    cat = str(photos / "cat" / "0.png")
    assert run(["sample", str(model), "-n", "3", "--label", "3", "-o", str(photos / "cat" / "made")]) == 0
    edit = ["edit", "reconstruct", str(model), cat, "--label", "3", "-o", str(photos / "edited")]
    assert run(edit) == 0
    return photos


def names(images: Images, folder: Path) -> set[str]:
    return {Path(path).relative_to(folder).as_posix() for path in images.paths.tolist()}


def test_sheets_and_edits_inside_a_folder_are_passed_over_in_one_line(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = {"cat/0.png", "cat/2.png", "cat/4.png", "cat/grid.png", "dog/1.png", "dog/3.png", "dog/5.png"}
    expected |= {f"cat/made/00000{i}.png" for i in range(3)}
    capsys.readouterr()
    images = Images.open(photos)
    assert names(images, photos) == expected
    assert images.classes == ("cat", "dog")
    assert images.skipped == ()
    assert capsys.readouterr().err.splitlines() == [
        f"Passed over, since diptych sample, edit or balance wrote them: {photos}/cat/made/grid.png, "
        f"{photos}/cat/made/metadata.csv, {photos}/cat/made/sample.json and 5 more.",
        f"{photos}: 10 pictures of 2 classes. Labels from the folder names: cat 7, dog 3.",
    ]
    (to_predict,) = image_sets([str(photos)])
    assert names(to_predict, photos) == expected


def test_the_results_in_an_edit_folder_that_is_named_are_meant(photos: Path) -> None:
    (to_predict,) = image_sets([str(photos / "edited")])
    assert names(to_predict, photos / "edited") == {"000000.png"}


@pytest.mark.parametrize("record", ["{", "[]", '{"tool": "mine"}', '{"edit": 1, "files": [3], "others": "x"}'])
def test_somebody_elses_record_hides_nothing(tmp_path: Path, record: str) -> None:
    for name in ("000000.png", "grid.png"):
        picture(tmp_path / "a" / name, 0)
    for name in ("sample.json", "edit.json"):
        (tmp_path / "a" / name).write_text(record)
    assert {Path(path).name for path in Images.open(tmp_path).paths.tolist()} == {"000000.png", "grid.png"}


@pytest.mark.parametrize("others", [7, {"a": 1}, None, "grid.png"])
def test_a_record_with_something_else_for_its_list_of_files(tmp_path: Path, others: object) -> None:
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "0.png")
    record = {"edit": "vary", "files": [{"path": "out/0.png", "origin": "composite"}], "others": others}
    (tmp_path / "edit.json").write_text(json.dumps(record))
    assert Images.open(tmp_path).origins.tolist() == ["composite"]
