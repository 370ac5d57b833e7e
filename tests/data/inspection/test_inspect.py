import json
import shutil

import numpy as np
import pytest
from PIL import Image, ImageOps

from diptych.data.images import Images
from diptych.data.inspection import manifest
from diptych.data.inspection.inspect import concatenate_sets, examine
from diptych.data.inspection.issues import LabelIssue
from diptych.data.inspection.report import inspection_report
from diptych.errors import UsageError


def sharp(picture, seed):
    """The picture with some detail."""
    noise = np.random.default_rng(seed).normal(0, 25, (picture.height, picture.width, 1))
    return Image.fromarray(np.clip(np.asarray(picture) + noise, 0, 255).astype(np.uint8))


def test_a_healthy_set_has_no_findings(tmp_path, scene):
    for k, name in enumerate(("cat", "dog")):
        (tmp_path / name).mkdir()
        for i in range(20):
            sharp(scene(100 * k + i), i).save(tmp_path / name / f"{i}.png")
    report = Images.open(tmp_path).inspect()
    assert report.findings == ["No issue was found that would harm training."]
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


def test_what_would_harm_training_is_found(troubled):
    findings = "\n".join(troubled.findings)
    assert "2 files cannot be used" in findings
    assert "broken.png (the file is empty)" in findings
    assert "1 class of fewer than 20 readable pictures: cat (8)" in findings
    assert "dog has 4.8 times as many pictures as cat" in findings
    assert "1 pair of copies with different labels" in findings
    assert "2 pictures are the same file as another" in findings
    assert "1 picture is another picture but for size or encoding" in findings
    assert "small.png (5 x 5 pixels)" in findings
    assert (troubled.facts["exact_copies"], troubled.facts["near_duplicates"]) == (2, 1)
    assert troubled.facts["unreadable"] == 2
    assert len(troubled.tables["Files left out"].rows) == 2
    assert len(troubled.tables["Exact copies"].rows) == 2


def test_copies_across_the_parts_of_a_split(tmp_path, scene):
    for part in ("train", "test"):
        (tmp_path / part / "a").mkdir(parents=True)
        scene(0).save(tmp_path / part / "a" / "x.png")
    findings = Images.open(tmp_path).inspect().findings
    assert any("copies across" in finding and "too good" in finding for finding in findings)
    assert any("only one class, a" in finding for finding in findings)


def test_sets_without_labels_or_without_a_readable_picture(tmp_path, scene):
    report = Images.from_arrays(np.zeros((3, 4, 4, 3), np.uint8)).inspect()
    assert any("No picture has a label" in finding for finding in report.findings)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.png").write_bytes(b"words")
    report = Images.open(tmp_path).inspect()
    assert report.facts["unreadable"] == 1
    str(report), report.html()


def test_multi_label_sets():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (40, 20, 20, 3), np.uint8)
    report = Images.from_arrays(pixels, rng.random((40, 3)) < 0.8, classes=list("abc")).inspect()
    assert report.facts["classes"] == 3
    assert {"a", "b", "c"} <= set(report.figures)


def test_copies_across_two_folders(tmp_path, scene):
    for name in ("one", "two"):
        (tmp_path / name / "a").mkdir(parents=True)
    for i in range(6):
        scene(i).save(tmp_path / "one" / "a" / f"{i}.png")
    ImageOps.mirror(scene(2, 96, 80)).save(tmp_path / "two" / "a" / "again.jpg", quality=70)
    scene(50).save(tmp_path / "two" / "a" / "other.png")
    folders = [str(tmp_path / name) for name in ("one", "two")]
    inspection = examine(concatenate_sets([Images.open(folder) for folder in folders], folders))
    report = inspection_report(inspection)
    assert report.facts["copies_across_folders"] == 1
    assert report.facts["mirrored_copies"] == 1
    assert [row[1].rsplit("/", 1)[1] for row in report.tables["Copies across folders"].rows] == ["again.jpg"]
    assert f"1 pair of copies across {folders[0]} and {folders[1]}" in "\n".join(report.findings)
    assert "Copies across folders" in report.figures
    assert [issue.kind for issue in inspection.issues if issue.other is not None] == ["mirrored copy"]
    with pytest.raises(UsageError, match="named twice"):
        concatenate_sets([Images.open(folders[0])] * 2, [folders[0]] * 2)


def test_copies_with_different_labels_are_for_review(class_folders):
    shutil.copy(class_folders / "cat" / "1.png", class_folders / "dog" / "wrong.png")
    inspection = examine(Images.open(class_folders))
    issues = inspection.of_kind("copies with different labels")
    assert sorted(inspection.images.paths[issue.row].rsplit("/", 1)[1] for issue in issues) == ["1.png", "wrong.png"]
    assert {issue.action for issue in issues} == {"review"}
    assert "labelled dog, but its exact copy is labelled cat" in [issue.reason for issue in issues]


def test_the_report_lists_the_most_suspect_labels_and_the_manifest_names_all(class_folders, tmp_path):
    suspects = [LabelIssue(3, "cat", "dog", 0.2), LabelIssue(8, "dog", "cat", 0.01)]
    inspection = examine(Images.open(class_folders)).with_label_issues(suspects, listed=1)
    report = inspection_report(inspection)
    assert [row[1:] for row in report.tables["Suspected label errors"].rows] == [["dog", "cat", "1%"]]
    assert "1 label may be wrong" in "\n".join(report.findings)
    table = manifest.write(inspection, tmp_path / "table.csv").read_text(encoding="utf-8")
    assert table.count("label error: ") == 2


def test_label_errors_are_listed_for_review_with_the_most_suspect_first(class_folders):
    inspection = examine(Images.open(class_folders)).with_label_issues(
        [LabelIssue(3, "cat", "dog", 0.2), LabelIssue(8, "dog", "cat", 0.01)]
    )
    report = inspection_report(inspection)
    assert [row[1:] for row in report.tables["Suspected label errors"].rows] == [
        ["dog", "cat", "1%"],
        ["cat", "dog", "20%"],
    ]
    assert "2 labels may be wrong" in "\n".join(report.findings)
    assert "Suspected label errors" in report.figures
    label_errors = [record for record in inspection.records() if record["kind"] == "label error"]
    assert label_errors[0] == {
        "path": str(inspection.images.paths[8]), "kind": "label error", "action": "review", "other": None,
        "reason": "labelled dog, looks like cat (dog 1%)", "suggested": "cat", "score": 0.01,
    }  # fmt: skip
    json.dumps(report.json())
    report.html()
