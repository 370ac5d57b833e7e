"""No leaks between origins: a generated picture never evaluates, calibrates or validates, however it is named."""

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import diptych
from diptych import interplay
from diptych.cli.app import run
from diptych.data.provenance import generated_mask, real_part, refuse_generated
from diptych.errors import DataError
from diptych.interplay.comparison import compare
from diptych.recognition import datasets
from diptych.recognition.gallery.gallery import Gallery

CLASSES = ("bright", "dark")


def pictures(n: int, seed: int, origins: str = "real") -> diptych.Images:
    """Bright and dark noise of 8 px, in turn."""
    rng, labels = np.random.default_rng(seed), np.arange(n) % 2
    pixels = rng.integers(0, 100, (n, 8, 8, 3)) + 150 * (1 - labels)[:, None, None, None]
    return diptych.Images.from_arrays(pixels.astype(np.uint8), labels, classes=CLASSES, origins=origins)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recognizer, a synthesizer, a gallery and what they generated, real pictures beside."""
    home = tmp_path_factory.mktemp("home")
    real = pictures(60, 0)
    real.save(home / "real")
    diptych.Recognizer("convnet", epochs=2).fit(real, into=home / "recognizer")
    diptych.VAE(epochs=1).fit(pictures(120, 1), into=home / "vae").sample(24, seed=0, into=home / "samples")
    Gallery(home / "recognizer", home / "gallery").enroll(real)
    Image.fromarray(np.pad(np.full((4, 4), 255, np.uint8), ((0, 4), (0, 4)))).save(home / "mask.png")
    masked = ["--mask", str(home / "mask.png"), "--label", "dark", "-o", str(home / "edited")]
    assert run(["edit", "inpaint", str(home / "vae"), str(home / "real" / "dark"), *masked]) == 0
    return home


@pytest.fixture(scope="module")
def models(home: Path) -> SimpleNamespace:
    flow = diptych.Flow(steps=2, epochs=1, batch=16).fit(pictures(60, 1))
    return SimpleNamespace(
        recognizer=diptych.load(home / "recognizer"), gallery=diptych.load(home / "gallery"), flow=flow, home=home
    )


def of_a_split(images: diptych.Images, part: str) -> diptych.Images:
    """Real pictures to train on, and these as another part of the set."""
    real = pictures(30, 5)
    together = real + images.with_metadata(classes=CLASSES)
    return together.with_metadata(groups={"split": np.repeat(["train", part], [len(real), len(images)])})


DOORS: dict[str, Callable[[SimpleNamespace, diptych.Images], object]] = {
    "evaluate": lambda m, images: m.recognizer.evaluate(images),
    "evaluate, unknown": lambda m, images: m.recognizer.evaluate(pictures(20, 6), unknown=images),
    "evaluate, the test part": lambda m, images: m.recognizer.evaluate(of_a_split(images, "test")),
    "score of scikit-learn": lambda m, images: m.recognizer.score(images),
    "calibrate": lambda m, images: m.recognizer.calibrate(images),
    "fit a recognizer, validate": lambda m, images: diptych.Recognizer("convnet", epochs=1).fit(
        pictures(20, 6), validate=images
    ),
    "fit a recognizer, the validation part": lambda m, images: diptych.Recognizer("convnet", epochs=1).fit(
        of_a_split(images, "validation")
    ),
    "fit a GAN, validate": lambda m, images: diptych.GAN(epochs=1).fit(pictures(20, 6), validate=images),
    "fit a VAE, validate": lambda m, images: diptych.VAE(epochs=1).fit(pictures(20, 6), validate=images),
    "fit a flow, validate": lambda m, images: diptych.Flow(epochs=1).fit(pictures(20, 6), validate=images),
    "tune, validate": lambda m, images: m.flow.tune(pictures(20, 6), epochs=1, validate=images),
    "score, against": lambda m, images: interplay.score(pictures(24, 7, "synthetic"), against=images),
    "score, against, seen": lambda m, images: interplay.score(
        pictures(24, 7, "synthetic"), against=images, seen=pictures(24, 8)
    ),
    "compare, on": lambda m, images: compare([m.home / "recognizer", m.home / "recognizer"], images),
    "gallery, evaluate": lambda m, images: m.gallery.evaluate(images),
    "gallery, unknown": lambda m, images: m.gallery.evaluate(pictures(20, 6), unknown=images),
    "export, check": lambda m, images: diptych.export(m.recognizer, m.home / "model.onnx", check=images),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("origin", ["synthetic", "composite"])
def test_no_door_lets_a_generated_picture_pass(models: SimpleNamespace, door: str, origin: str) -> None:
    images = pictures(30, 9)
    images = images.with_metadata(origins=np.where(np.arange(30) == 7, origin, "real"))
    with pytest.raises(DataError, match=r"array#7 is (partly )?generated.* takes real pictures alone.*Name a set of"):
        DOORS[door](models, images)


@pytest.mark.parametrize("door", ["evaluate", "compare, on", "score, against", "fit a recognizer, validate"])
def test_the_same_doors_take_real_pictures(models: SimpleNamespace, door: str) -> None:
    DOORS[door](models, pictures(30, 9))


def test_a_command_names_the_file_and_exits_with_3(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(home / "real", home / "mixed")
    shutil.copytree(home / "samples", home / "mixed" / "dark" / "more")
    (home / "mixed" / "metadata.csv").unlink(missing_ok=True)
    assert run(["evaluate", str(home / "recognizer"), str(home / "mixed"), "--labels", "folders"]) == 3
    message = capsys.readouterr().err
    assert f"{home}/mixed/dark/more" in message
    assert "is generated, as its metadata or the record of its folder says (23 others are as well)" in message


WAYS: dict[str, Callable[[Path], diptych.Images]] = {
    "the folder": lambda out: diptych.Images.open(out),
    "the folder, labels from folders": lambda out: diptych.Images.open(out, "folders"),
    "a class folder in it": lambda out: diptych.Images.open(out / "dark"),
    "a single file": lambda out: diptych.Images.open(next((out / "dark").glob("*.png"))),
    "files one by one": lambda out: diptych.Images.of_files(sorted(out.glob("*/*.png"))),
    "a folder around it": lambda out: diptych.Images.open(out.parent),
    "an archive of it": lambda out: diptych.Images.open(
        shutil.make_archive(str(out.parent.parent / "archive"), "zip", out)
    ),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("lost", ["nothing", "metadata.csv", "sample.json"])
def test_samples_are_known_however_they_are_named_by_their_table_or_their_record(
    home: Path, tmp_path: Path, way: str, lost: str
) -> None:
    out = tmp_path / "around" / "samples"
    shutil.copytree(home / "samples", out)
    (out / "grid.png").unlink()
    if lost != "nothing":
        (out / lost).unlink()
    images = WAYS[way](out)
    assert len(images)
    assert generated_mask(images).all()


def test_samples_in_one_file_keep_their_origin(tmp_path: Path) -> None:
    for name in ("a.npz", "a.parquet"):
        pictures(4, 0, "synthetic").save(tmp_path / name)
        assert generated_mask(diptych.Images.open(tmp_path / name)).all()


def test_results_of_an_edit_are_known_without_their_table(home: Path) -> None:
    (home / "edited" / "metadata.csv").unlink()
    images = diptych.Images.open(home / "edited")
    assert set(images.origins.tolist()) == {"composite"}
    assert diptych.Images.open(home / "edited" / "grid.png").origins.tolist() == ["composite"]
    (home / "edited" / "mine.png").write_bytes((home / "real" / "dark" / "000001.png").read_bytes())
    assert diptych.Images.open(home / "edited" / "mine.png").origins.tolist() == ["real"]


@pytest.mark.parametrize("record", ["{", "[]", '{"tool": "mine"}', '{"edit": 1, "files": [3, {"path": 1}]}'])
def test_somebody_elses_record_says_nothing(tmp_path: Path, record: str) -> None:
    pictures(4, 0).save(tmp_path / "set")
    for name in ("sample.json", "edit.json", "balance.json"):
        (tmp_path / "set" / name).write_text(record)
    (tmp_path / "set" / "metadata.jsonl").write_text('{"origin": [')
    assert not generated_mask(diptych.Images.open(tmp_path / "set" / "dark")).any()


def test_a_name_that_no_file_can_have_keeps_its_row() -> None:
    images = diptych.Images.of_files(["no\0where/a.png", "nowhere/b.png"])
    assert images.origins.tolist() == ["real", "real"]


def test_real_pictures_beside_samples_stay_real(home: Path, tmp_path: Path) -> None:
    shutil.copytree(home / "samples", tmp_path / "samples")
    own = tmp_path / "samples" / "photo.png"
    shutil.copy(home / "real" / "dark" / "000001.png", own)
    assert diptych.Images.open(own).origins.tolist() == ["real"]


def test_a_recognizer_fitted_on_a_mixed_set_is_validated_on_its_real_pictures_alone() -> None:
    real, generated = pictures(40, 0), pictures(160, 1, "synthetic")
    copies = real[:4].with_metadata(origins=np.full(4, "synthetic"))  # a real twin of a generated picture is no test
    prepared = datasets.prepare(real + generated + copies, None, 8, seed=0)
    assert not generated_mask(prepared.validation).any()
    assert len(prepared.validation) == 6  # 15 % of the real ones
    assert generated_mask(prepared.training).sum() == 164
    assert not set(prepared.validation.paths) & set(real.paths[:4])
    fitted = diptych.Recognizer("convnet", epochs=1).fit(real + generated)
    assert fitted.scores_["accuracy"]["n"] == 6


def test_without_real_pictures_to_check_on_a_fit_is_refused() -> None:
    real, generated = pictures(41, 0)[:40:2] + pictures(1, 3), pictures(160, 1, "synthetic")
    only_bright = real[real.labels == 0]
    with pytest.raises(DataError, match=r"fewer than 2 real pictures of dark; the others are generated.*--validate"):
        datasets.prepare(only_bright + generated, None, 8, seed=0)
    validated = datasets.prepare(only_bright + generated, pictures(20, 4), 16, seed=0)
    assert len(validated.validation) == 20


def test_a_synthesizer_holds_out_real_pictures_alone() -> None:
    mixed = pictures(120, 0) + pictures(120, 1, "synthetic")
    vae = diptych.VAE(epochs=1).fit(mixed)
    assert vae.scores_
    data = vae._model_files.data
    assert data["held_out"] == 6


def test_a_gallery_is_measured_on_its_real_pictures(home: Path) -> None:
    gallery = Gallery(home / "recognizer").enroll(pictures(60, 0))
    thresholds = gallery.match_threshold()
    noise = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3)).astype(np.uint8)
    generated = diptych.Images.from_arrays(noise, np.arange(40) % 2, classes=CLASSES, origins="synthetic")
    gallery.enroll(generated)
    assert len(gallery) == 100
    assert gallery.match_threshold() == thresholds
    assert not Gallery(home / "recognizer").enroll(generated).match_threshold()


def test_refusals_count_and_real_parts_are_taken() -> None:
    mixed = pictures(3, 0) + pictures(2, 1, "composite")
    with pytest.raises(DataError, match=r"array#0 is partly generated.*\(1 other is as well\)\. A test takes"):
        refuse_generated(mixed, "A test")
    assert len(real_part(mixed)) == 3
    refuse_generated(real_part(mixed), "A test")
