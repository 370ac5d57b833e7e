"""Every door out marks what a model generated, and only that; no door in takes a marked picture for a real one."""

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

import diptych
from diptych.cli.app import run
from diptych.data.provenance import generated_mask, real_part, refuse_generated
from diptych.data.training_digests import NONE
from diptych.errors import DataError
from diptych.marks import mark, read_mark, told_by
from diptych.recognition import hold_out
from diptych.serving.storage import picture_process
from diptych.serving.worker import verbs
from tests.marked import pictures_in

CLASSES = ("bright", "dark")


def pictures(n: int, seed: int = 0) -> diptych.Images:
    """Bright and dark noise of 8 px, in turn."""
    rng, labels = np.random.default_rng(seed), np.arange(n) % 2
    pixels = rng.integers(0, 100, (n, 8, 8, 3)) + 150 * (1 - labels)[:, None, None, None]
    return diptych.Images.from_arrays(pixels.astype(np.uint8), labels, classes=CLASSES)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A VAE in a folder, real pictures, and a folder for what it gives out."""
    home = tmp_path_factory.mktemp("home")
    model = diptych.VAE(epochs=1, latent=4).fit(pictures(60), into=home / "vae")
    pictures(6, 1).save(home / "real")
    return SimpleNamespace(home=home, model=model, one=home / "real" / "bright" / "000000.png")


def files(folder: Path, *patterns: str) -> list[bytes]:
    return [path.read_bytes() for pattern in patterns for path in sorted(folder.glob(pattern))]


def sampled(made: SimpleNamespace, out: Path) -> list[bytes]:
    made.model.sample(5, into=out)
    return files(out, "*/*.png", "grid.png")


def sampled_as_table(made: SimpleNamespace, out: Path) -> list[bytes]:
    made.model.sample(5, into=out.with_suffix(".parquet"))
    return [row["bytes"] for row in pq.read_table(out.with_suffix(".parquet"))["image"].to_pylist()]


def edited(made: SimpleNamespace, out: Path) -> list[bytes]:
    assert run(["edit", "traverse", str(made.home / "vae"), str(made.one), "--steps", "2", "-o", str(out)]) == 0
    return files(out, "*.png") + pictures_in((out / "report.html").read_bytes())


def animated(made: SimpleNamespace, out: Path) -> list[bytes]:
    pytest.importorskip("av")
    pair = [str(made.one), str(made.one.with_name("000002.png"))]
    assert run(["edit", "interpolate", str(made.home / "vae"), *pair, "--steps", "3", "--mp4", "-o", str(out)]) == 0
    return files(out, "film.*")


def saved(made: SimpleNamespace, out: Path) -> list[bytes]:
    (made.model.sample(3) + made.model.reconstruct(pictures(2))).save(out)
    return files(out, "*/*.png")


def trained(made: SimpleNamespace, out: Path) -> list[bytes]:
    return files(made.home / "vae" / "samples", "*.png")


def served(made: SimpleNamespace, out: Path) -> list[bytes]:
    options = {"number": 2, "label": None, "seed": 0, "steps": None, "guidance": None, "visible_label": False}
    edit = {"operation": "reconstruct", "arguments": {"label": "dark"}, "masked": False, "visible_label": False}
    return verbs.sample(made.model, options, [])[1] + verbs.edit(made.model, edit, [made.one.read_bytes()])[1]


def shown(made: SimpleNamespace, out: Path) -> list[bytes]:
    made.model.sample(1, label="dark", into=out)
    request = {"path": str(out / "000000.png"), "name": "a", "side": 4}
    return [picture_process._answer(request)[1]]


def inspected(made: SimpleNamespace, out: Path) -> list[bytes]:
    samples = made.model.sample(8)
    report = samples.inspect()
    return [report.figures[name] for name in CLASSES if name in report.figures]


@pytest.mark.parametrize(
    "door",
    [sampled, sampled_as_table, edited, animated, saved, trained, served, shown, inspected],
    ids=lambda d: d.__name__,
)
def test_every_door_out_marks(made: SimpleNamespace, tmp_path: Path, door: Callable[..., list[bytes]]) -> None:
    given = door(made, tmp_path / "out")
    weights = json.loads((made.home / "vae" / "model.json").read_text())["weights_sha256"]
    assert given
    for content in given:
        read = read_mark(content)
        assert read is not None
        assert (read.kind, read.state) == ("synthetic", "Trusted")
        if door is not trained:  # the networks of another moment
            assert (read.model, read.weights_sha256) == ("vae vae", weights)


def test_a_sample_tells_its_seed_and_label(made: SimpleNamespace, tmp_path: Path) -> None:
    made.model.sample(2, label="dark", seed=5, into=tmp_path / "out")
    assert read_mark((tmp_path / "out" / "000001.png").read_bytes()).settings == {"seed": 6, "label": "dark"}


def test_real_pictures_and_their_sheets_are_never_marked(made: SimpleNamespace, tmp_path: Path) -> None:
    pictures(4).save(tmp_path / "real.parquet")
    contents = files(made.home / "real", "*/*.png")
    contents += [row["bytes"] for row in pq.read_table(tmp_path / "real.parquet")["image"].to_pylist()]
    contents += [figure for figure in pictures(4).inspect().figures.values() if isinstance(figure, bytes)]
    assert not any(map(read_mark, contents))


def test_what_is_part_real_is_a_composite(made: SimpleNamespace, tmp_path: Path) -> None:
    pair = [str(made.one), str(made.one.with_name("000002.png"))]
    out = tmp_path / "out"
    assert run(["edit", "blend", str(made.home / "vae"), *pair, "--label", "dark", "-o", str(out)]) == 0
    kinds = [read_mark(content).kind for content in files(out, "*.png")]
    assert kinds == ["composite", "composite"]  # the picture, and the sheet
    first, second, after = pictures_in((out / "report.html").read_bytes())
    assert (read_mark(first), read_mark(second)) == (None, None)
    assert read_mark(after).kind == "composite"


def test_a_copied_set_keeps_its_marks_and_real_pictures_get_none(made: SimpleNamespace, tmp_path: Path) -> None:
    samples = made.model.sample(3, label="dark", into=tmp_path / "samples")
    (pictures(2) + samples).save(tmp_path / "both")
    copied = [path.read_bytes() for path in sorted((tmp_path / "both").glob("*/*.png"), key=lambda path: path.name)]
    assert copied[2:] == files(tmp_path / "samples", "0*.png")
    assert not any(map(read_mark, copied[:2]))


@pytest.fixture
def smuggled(made: SimpleNamespace, tmp_path: Path) -> Path:
    """Real pictures in class folders and a generated one among them, with nothing but its own mark."""
    made.model.sample(1, label="dark", into=tmp_path / "samples")
    shutil.copytree(made.home / "real", tmp_path / "set")
    shutil.copy(tmp_path / "samples" / "000000.png", tmp_path / "set" / "dark" / "innocent.png")
    return tmp_path / "set"


@pytest.mark.parametrize("form", ["folder", "zip", "bytes", "jpeg of another maker", "large"])
def test_a_marked_picture_is_known_without_metadata(smuggled: Path, form: str) -> None:
    picture = smuggled / "dark" / "innocent.png"
    if form == "large":  # more than is read at first
        picture.write_bytes(_large(picture))
    if form == "jpeg of another maker":
        picture.write_bytes(_jpeg_of_another_maker())
    if form == "bytes":
        images = diptych.Images.of([path.read_bytes() for path in sorted(smuggled.glob("*/*"))])
    else:
        path = shutil.make_archive(str(smuggled), "zip", smuggled) if form == "zip" else smuggled
        images = diptych.Images.open(path)
    assert images.origins.tolist() == ["real"] * 7
    assert generated_mask(images).sum() == 1
    assert len(real_part(images)) == 6
    with pytest.raises(DataError, match=r"is (partly )?generated, as the mark in its file says\. A test takes"):
        refuse_generated(images, "A test")


def test_fit_does_not_validate_on_a_marked_picture(smuggled: Path) -> None:
    images = diptych.Images.open(smuggled) + pictures(30, 2)
    smuggled_row = int(np.flatnonzero(generated_mask(images))[0])
    for seed in range(3):
        training, validation = hold_out.hold_out(images, seed, None, NONE)
        assert smuggled_row in training
        assert smuggled_row not in validation


def _large(picture: Path) -> bytes:
    out = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8)
    Image.fromarray(noise).save(out, "PNG")
    assert len(out.getvalue()) > 100_000
    return mark(out.getvalue(), told_by(picture.read_bytes()))


def _jpeg_of_another_maker() -> bytes:
    out = io.BytesIO()
    xmp = b'<x Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"/>'
    Image.new("RGB", (8, 8)).save(out, "JPEG", xmp=xmp, exif=b"Exif\0\0" + bytes(60_000))
    return out.getvalue()
