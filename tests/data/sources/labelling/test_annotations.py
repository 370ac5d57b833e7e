"""Folders as annotation tools export them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from diptych.data.images import Images

LABELS = ["cat", "dog", "cat"]
PICTURES = [{"id": i, "file_name": f"{i}.png"} for i in range(3)]
CATEGORIES = [{"id": 7, "name": "cat"}, {"id": 9, "name": "dog"}]


def export(root: Path, content: Any) -> Path:
    (root / "images").mkdir(exist_ok=True)
    for i in range(3):
        Image.fromarray(np.full((8, 8, 3), 60 * i, np.uint8)).save(root / "images" / f"{i}.png")
    (root / "result.json").write_text(json.dumps(content))
    return root


def boxes(*categories: tuple[int, int]) -> dict[str, Any]:
    annotations = [{"image_id": image, "category_id": category, "bbox": [0, 0, 4, 4]} for image, category in categories]
    return {"images": PICTURES, "annotations": annotations, "categories": CATEGORIES}


def task(i: int, value: dict[str, Any]) -> dict[str, Any]:
    return {"data": {"image": f"/data/upload/1/0a1b2c3d-{i}.png"}, "annotations": [{"result": [{"value": value}]}]}


@pytest.mark.parametrize(
    "content",
    [
        boxes((0, 7), (0, 7), (1, 9), (2, 7)),
        [task(i, {"choices": [label]}) for i, label in enumerate(LABELS)],
        [{"image": f"/data/upload/1/0a1b2c3d-{i}.png", "choice": label} for i, label in enumerate(LABELS)],
    ],
)
def test_one_class_of_each_picture_is_its_label(tmp_path: Path, content: Any) -> None:
    for choice in (None, "result.json:label"):
        images = Images.open(export(tmp_path, content), choice)
        assert [images.classes[k] for k in images.labels] == LABELS


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            boxes((0, 7), (0, 9), (1, 9)),
            r"1 of 3 pictures have objects of several categories, such as 0.png (cat, dog)",
        ),
        ([task(0, {"rectanglelabels": ["cat"]})], "regions of the pictures, not choices"),
    ],
)
def test_boxes_are_no_labels_and_what_to_do_is_said(
    tmp_path: Path, content: Any, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert len(Images.open(export(tmp_path, content)).classes) < 2
    assert message in caplog.text
    assert "cut each box out" in caplog.text


def test_text_files_of_boxes_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = export(tmp_path, {"version": 1})
    (root / "labels").mkdir()
    (root / "labels" / "0.txt").write_text("0 0.5 0.5 0.2 0.1\n")
    assert len(Images.open(root)) == 3
    assert "labels has boxes of objects (YOLO)" in caplog.text


@pytest.mark.parametrize(
    "content",
    [
        [{"data": {}, "annotations": []}],
        [{"image": "0.png", "choice": {"choices": [["cat"], {}]}}],
        {**boxes((0, 7)), "images": [{"id": 0, "file_name": ["0.png"]}]},
        {**boxes((0, 7)), "images": [{"id": [], "file_name": "0.png"}]},
        7,
    ],
)
def test_what_only_looks_like_an_export_labels_nothing(tmp_path: Path, content: Any) -> None:
    assert Images.open(export(tmp_path, content)).classes == ()


def test_boxes_of_a_detector_leave_pictures_without_labels(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(2):
        for folder, suffix, content in (("JPEGImages", "png", None), ("Annotations", "xml", "<annotation>\n")):
            path = tmp_path / folder / f"{number}.{suffix}"
            path.parent.mkdir(exist_ok=True)
            Image.new("RGB", (8, 8)).save(path) if content is None else path.write_text(content)
    assert Images.open(tmp_path).classes == ()  # JPEGImages is none
    assert "Annotations has boxes of objects (Pascal VOC)" in caplog.text
    assert Images.open(tmp_path, labels="folders").classes == ("JPEGImages",)
