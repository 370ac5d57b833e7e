import json
import shutil

import numpy as np
import pytest

from diptych.data.images import Images


def test_a_healthy_set_has_no_findings(tmp_path, scene):
    for k, name in enumerate(("cat", "dog")):
        (tmp_path / name).mkdir()
        for i in range(20):
            scene(100 * k + i).save(tmp_path / name / f"{i}.png")
    report = Images.open(tmp_path).inspect()
    assert report.findings == ["Nothing was found that would spoil training."]
    assert report.facts["counts"] == {"cat": 20, "dog": 20}
    assert report.facts["imbalance"] == 1.0
    assert report.facts["shorter_side"] == {"smallest": 40, "median": 40.0, "largest": 40}
    assert {"cat", "dog"} <= set(report.figures)
    assert all(data.startswith(b"\x89PNG") for name, data in report.figures.items() if name in ("cat", "dog"))
    assert "cat" in str(report)
    json.dumps(report.json())


@pytest.fixture
def troubled(class_folders, scene):
    for i in range(30):
        scene(300 + i).save(class_folders / "dog" / f"more{i}.png")
    shutil.copy(class_folders / "cat" / "0.png", class_folders / "cat" / "0 (1).png")
    shutil.copy(class_folders / "cat" / "1.png", class_folders / "dog" / "wrong.png")
    scene(2).resize((96, 80)).save(class_folders / "cat" / "large.jpg")
    scene(900, 5, 5).save(class_folders / "dog" / "small.png")
    (class_folders / "cat" / "broken.png").write_bytes(b"")
    (class_folders / "cat" / "notes.txt").write_text("words")
    return Images.open(class_folders).inspect()


def test_what_would_spoil_training_is_found(troubled):
    told = "\n".join(troubled.findings)
    assert "2 files cannot be used" in told
    assert "broken.png (the file is empty)" in told
    assert "1 class of fewer than 20 readable pictures: cat (8)" in told
    assert "dog has 4.8 times as many pictures as cat" in told
    assert "1 pair of copies with different labels" in told
    assert "2 pictures are the same file as another" in told
    assert "1 picture is another picture but for size or encoding" in told
    assert "small.png (5 x 5 pixels)" in told
    assert (troubled.facts["exact_copies"], troubled.facts["near_duplicates"]) == (2, 1)
    assert troubled.facts["unreadable"] == 2
    assert len(troubled.tables["Files left out"].rows) == 2
    assert len(troubled.tables["Exact copies"].rows) == 2


def test_copies_across_a_given_split(tmp_path, scene):
    for part in ("train", "test"):
        (tmp_path / part / "a").mkdir(parents=True)
        scene(0).save(tmp_path / part / "a" / "x.png")
    told = Images.open(tmp_path).inspect().findings
    assert any("copies across" in finding and "too good" in finding for finding in told)
    assert any("only one class, a" in finding for finding in told)


def test_sets_without_labels_or_without_a_readable_picture(tmp_path, scene):
    report = Images.from_arrays(np.zeros((3, 4, 4, 3), np.uint8)).inspect()
    assert any("No picture has a label" in finding for finding in report.findings)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.png").write_bytes(b"words")
    report = Images.open(tmp_path).inspect()
    assert report.facts["unreadable"] == 1
    str(report), report.html()


def test_several_labels_a_picture():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (40, 20, 20, 3), np.uint8)
    report = Images.from_arrays(pixels, rng.random((40, 3)) < 0.8, classes=list("abc")).inspect()
    assert report.facts["classes"] == 3
    assert {"a", "b", "c"} <= set(report.figures)
