import numpy as np
import pytest
from PIL import Image, ImageFilter

from diptych.data.images import Images
from diptych.data.inspection import quality
from diptych.data.inspection.inspect import CLEANVISION_MISSING, examine
from diptych.data.inspection.report import inspection_report


def textured(seed, width=100, height=80):
    """A scene with detail, as photographs have."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (7, 7, 3), np.uint8)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    noise = rng.normal(0, 25, (height, width, 1))
    return Image.fromarray(np.clip(np.asarray(coarse) + noise, 0, 255).astype(np.uint8))


@pytest.fixture
def odd(tmp_path):
    """Forty ordinary pictures, and one of each odd kind."""
    for i in range(40):
        textured(i).save(tmp_path / f"{i}.png")
    picture = np.asarray(textured(100))
    examples = {
        "dark": Image.fromarray(picture // 8),
        "bright": Image.fromarray(255 - picture // 40),
        "blurred": textured(101).filter(ImageFilter.GaussianBlur(4)),
        "empty": Image.new("RGB", (100, 80), (90, 120, 150)),
        "thin": textured(102, 300, 60),
        "huge": textured(103, 1500, 1200),
        "tiny": textured(104, 12, 10),
        "grey": textured(105).convert("L"),
    }
    for name, example in examples.items():
        example.save(tmp_path / f"{name}.png")
    return Images.open(tmp_path)


def kinds(inspection, name):
    paths = inspection.images.paths
    return {issue.kind for issue in inspection.issues if paths[issue.row].endswith(f"/{name}.png")}


def test_each_kind_of_odd_picture_is_found_and_no_other(odd):
    inspection = examine(odd)
    expected = {
        "dark": "dark", "bright": "bright", "blurred": "blurred", "empty": "low information", "thin": "odd shape",
        "huge": "odd size", "tiny": "tiny", "grey": "greyscale",
    }  # fmt: skip
    assert {name for name, kind in expected.items() if kind not in kinds(inspection, name)} == set()
    assert [kinds(inspection, str(i)) for i in range(40)] == [set()] * 40
    report = inspection_report(inspection)
    findings = "\n".join(report.findings)
    assert "1 picture is dark: " in findings
    assert " blurred: " in findings
    assert {"Dark", "Blurred", "Odd shapes", "Tiny"} <= set(report.figures)


def test_what_most_pictures_have_in_common_is_no_issue():
    pixels = np.random.default_rng(0).integers(0, 30, (30, 12, 12, 1), np.uint8).repeat(3, 3)
    inspection = examine(Images.from_arrays(pixels))
    assert [inspection.of_kind(kind) for kind in ("tiny", "greyscale", "dark")] == [[], [], []]


def test_white_drawings_on_transparent_ground_are_called_blank_however_many_they_are(tmp_path):
    for i in range(12):
        drawing = textured(i, 60, 60)
        if i % 2:
            drawing = Image.new("RGB", (60, 60), "white")
            drawing.putalpha(textured(i, 60, 60).convert("L"))
        drawing.save(tmp_path / f"{i}.png")
    images = Images.open(tmp_path)
    blank = [issue for issue in examine(images).issues if issue.kind == "blank"]
    assert sorted(images.paths[issue.row] for issue in blank) == sorted(f"{tmp_path}/{i}.png" for i in range(1, 12, 2))
    assert "transparent ground is laid on white" in blank[0].reason


def test_pictures_decoded_before_are_judged_alike(odd):
    first = examine(odd).records()
    again = Images.open(odd.paths[0].rsplit("/", 1)[0])
    again.pixels(32)
    again.split(0.5, 0.5)
    assert examine(again).records() == first


def test_sets_that_stream_are_judged_alike(odd, monkeypatch):
    first = examine(odd).records()
    monkeypatch.setattr("diptych.resources.free_memory_bytes", lambda: 0)
    assert examine(Images.open(odd.paths[0].rsplit("/", 1)[0])).records() == first


def test_without_cleanvision_the_rest_is_done_and_a_note_says_so(odd, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert not quality.is_available()
    inspection = examine(odd)
    assert inspection.notes == (CLEANVISION_MISSING,)
    assert CLEANVISION_MISSING in inspection_report(inspection).findings
    assert inspection.of_kind("tiny")
    assert inspection.of_kind("odd shape")
    assert not inspection.of_kind("dark")


def test_a_picture_of_one_pixel_and_one_that_cannot_be_read(tmp_path):
    Image.new("RGB", (1, 1)).save(tmp_path / "one.png")
    (tmp_path / "none.png").write_bytes(b"")
    inspection = examine(Images.open(tmp_path))
    assert [issue.reason for issue in inspection.of_kind("unreadable")] == ["the file is empty"]
    inspection_report(inspection).html()
