"""Labels in the exports of annotation tools: COCO, Label Studio; and a word on boxes, which label no whole picture."""

import posixpath
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from diptych import json_reader
from diptych.data.sources.files import Files, Walk
from diptych.data.sources.labelling.tables import Row
from diptych.errors import DataError

SUFFIX = ".json"
_UPLOADED = re.compile("[0-9a-f]{8}-")  # what Label Studio puts before the name of a file
_BOX_FILES = (  # by program: suffix, folder, how a file begins
    ("YOLO", ".txt", "labels", re.compile(rb"\s*\d+(\s+-?[\d.eE+-]+){4,}\s*(\n|$)")),
    ("Pascal VOC", ".xml", "annotations", re.compile(rb"(<\?xml.*?\?>)?\s*<annotation")),
)
_CURE = "Diptych labels whole pictures: cut each box out as a picture into a folder with the name of its class."


def annotation_rows(data: bytes, where: str) -> list[Row]:
    """The rows of an export, with file_name and label; none where it is something else.

    Raises
    ------
    DataError
        It has boxes or regions instead of one label for each picture.
    """
    try:
        content = json_reader.parse(data, foreign=True)
    except json_reader.JSONError:
        return []
    try:
        records = list(_coco(content, where) if isinstance(content, dict) else _label_studio(content, where))
    except (KeyError, TypeError, AttributeError):  # another program's file, which only looks alike
        return []
    return [Row(where, number, record) for number, record in enumerate(records, 1)]


def describe_boxes(files: Files, walk: Walk) -> str:
    """A sentence where files of boxes lie beside the pictures, for YOLO's detectors or Pascal VOC; "" if none does."""
    for program, suffix, folder, pattern in _BOX_FILES:
        names = [n for n in walk.files if n.endswith(suffix) and folder in n.lower().split("/")[:-1]]
        if names and pattern.match(files.read_range(names[0], 0, 200)):
            where = files.path(posixpath.dirname(names[0]))
            return f"{where} has boxes of objects ({program}), which are not read. {_CURE}"
    return ""


def _coco(content: dict[str, Any], where: str) -> Iterator[dict[str, Any]]:
    """One row for each picture of a COCO file, with the category that all its annotations have."""
    names = {category["id"]: str(category["name"]) for category in content["categories"]}
    categories: dict[Any, set[str]] = {}
    for annotation in content["annotations"]:
        categories.setdefault(annotation["image_id"], set()).add(names[annotation["category_id"]])
    several = [image["file_name"] for image in content["images"] if len(categories.get(image["id"], ())) > 1]
    if several:
        inside = ", ".join(sorted(next(names for names in categories.values() if len(names) > 1)))
        raise DataError(
            f"{where}: {len(several)} of {len(content['images'])} pictures have objects of several categories, such as "
            f"{several[0]} ({inside}). {_CURE}"
        )
    for image in content["images"]:
        yield {"file_name": str(image["file_name"]), "label": next(iter(categories.get(image["id"], ())), None)}


def _label_studio(tasks: list[Any], where: str) -> Iterator[dict[str, Any]]:
    """One row for each task of a Label Studio export with the choices of its first annotation."""
    for task in tasks:
        picture = next(iter(task["data"].values()), "") if "data" in task else task["image"]
        name = posixpath.basename(unquote(str(picture).split("?")[0]))
        choices = _choices(task, where)
        label = choices[0] if len(choices) == 1 else choices or None
        yield {"file_name": name, "uploaded_name": _UPLOADED.sub("", name, count=1), "label": label}


def _choices(task: dict[str, Any], where: str) -> list[str]:
    if "data" not in task:  # the short form of the export
        choice = task.get("choice")
        return list(map(str, choice["choices"])) if isinstance(choice, dict) else [str(choice)] if choice else []
    annotations = [one for one in task["annotations"] if not one.get("was_cancelled")]
    results = annotations[0]["result"] if annotations else []
    if results and not any("choices" in result["value"] for result in results):
        raise DataError(f"{where}: the annotations are regions of the pictures, not choices. {_CURE}")
    return [str(choice) for result in results for choice in result["value"].get("choices", ())]
