"""Galleries that somebody has damaged, or made to do harm: exit code 3, at once, with the place."""

import re
import shutil
import time
from pathlib import Path

import lancedb
import pytest
import torch

from diptych.cli import app
from diptych.recognition.gallery.gallery import Gallery
from tests.test_hostile_artefacts import MAX_SECONDS, Damage, _bytes, _facts, _linked, _replaced, _tensors, _text


def _values(value: float) -> Damage:
    """Sets the vectors of the table to a value."""

    def damage(gallery: Path) -> None:
        database = lancedb.connect(gallery / "database")
        (name,) = database.list_tables().tables
        table = database.open_table(name)
        rows = table.to_arrow().to_pylist()
        for row in rows[:3]:
            row["embedding"] = [value] * len(row["embedding"])
        database.create_table(name, rows, schema=table.schema, mode="overwrite")

    return damage


def _other_table(gallery: Path) -> None:
    database = lancedb.connect(gallery / "database")
    (name,) = database.list_tables().tables
    database.create_table(name, [{"other": 1}], mode="overwrite")


CASES = {
    "no embedder": (_facts("embedder"), r"\$\.embedder is missing"),
    "an embedder of another digest": (_facts("embedder.sha256", "0" * 64), "model.json|weights|embedder"),
    "an embedder of a billion": (_facts("embedder.size", 10**9), r"\$\.embedder\.size is 1000000000"),
    "an embedder that is a list": (_facts("embedder", [1]), r"\$\.embedder is a list"),
    "no table": (_facts("table"), r"\$\.table is missing"),
    "a table outside the folder": (_facts("table.name", "../../x"), r"\$\.table\.name"),
    "a table that there is not": (_facts("table.name", "pictures-0"), "pictures-0|table"),
    "a table behind a program's URL": (_facts("table.url", "ext://x"), "ext://x"),
    "a table with no place": (_facts("table.url", 3), r"\$\.table\.url is 3"),
    "a calibration that is a text": (_facts("calibration", "x"), r'\$\.calibration is "x"'),
    "labels that are numbers": (_facts("adapter_labels", [1]), r"\$\.adapter_labels\[0\] is 1"),
    "a recognizer that is a list": (_facts("recognizer", [1]), r"\$\.recognizer is a list"),
    "not a number": (_replaced('"size": ', '"size": NaN, "x": '), "NaN is no number of JSON"),
    "lists without end": (_text("[" * 10**6), "more than 64 levels"),
    "half a record": (_text('{"format": 2, "kind": "gal'), "not valid JSON"),
    "a record without end": (_linked("/dev/zero", "model.json"), "not a file"),
    "weights without end": (_linked("/dev/zero", "weights.safetensors"), "not a file"),
    "no bytes of weights": (_bytes(b""), "weights.safetensors"),
    "another tensor": (_tensors(lambda t: t.update(other=torch.ones(1))), "weights.safetensors"),
    "a table of another program": (_other_table, "database|table|column"),
    "infinite vectors": (_values(float("inf")), "are no numbers"),
}


@pytest.fixture(scope="module")
def whole(embedding_recognizer, digit_files, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "gallery"
    Gallery(embedding_recognizer, folder).enroll(digit_files)
    return folder


@pytest.mark.parametrize(("damage", "words"), CASES.values(), ids=CASES)
def test_a_damaged_gallery_is_refused_at_once_with_the_place(whole, digit_files, tmp_path, capsys, damage, words):
    shutil.copytree(whole, tmp_path / "gallery")
    damage(tmp_path / "gallery")
    picture = next(digit_files.rglob("*.png"))
    started = time.process_time()
    code = app.run(["match", str(tmp_path / "gallery"), str(picture)])
    seconds = time.process_time() - started
    message = " ".join(capsys.readouterr().err.split())
    assert code == 3, message
    assert re.search(words, message), message
    assert "gallery" in message
    assert seconds < MAX_SECONDS
