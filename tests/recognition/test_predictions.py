"""Predictions as a person sees them: rows, a few lines, a table, and thumbnails; also for one picture in any form."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from diptych.data.images import Images
from diptych.errors import DataError, UsageError
from diptych.recognition.predictions import Prediction, Predictions
from diptych.recognition.recognizer import Recognizer

DRAW = np.random.default_rng(0)
PIXELS = np.concatenate([40 + DRAW.integers(0, 40, (20, 8, 8, 3)), 200 + DRAW.integers(0, 40, (20, 8, 8, 3))])
PIXELS = PIXELS.astype(np.uint8)
NAMES = ["<dark>"] * 20 + ["bright"] * 20


@pytest.fixture(scope="module")
def fitted() -> Recognizer:
    return Recognizer("convnet", epochs=3).fit(PIXELS, NAMES)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Three pictures, the second of which is no picture."""
    paths = [tmp_path / f"{name}.png" for name in ("first", "broken", "last")]
    for path, row in zip(paths, (0, 1, 30), strict=True):
        Image.fromarray(PIXELS[row]).save(path)
    paths[1].write_bytes(b"no picture")
    return paths


def test_one_picture_in_any_form_gives_one_answer(fitted: Recognizer, files: list[Path]) -> None:
    tensor = torch.from_numpy(PIXELS[0]).permute(2, 0, 1)
    forms = [
        files[0],
        str(files[0]),
        [files[0]],
        Image.open(files[0]),
        PIXELS[0],
        PIXELS[0] / 255,
        tensor,
        tensor / 255,
    ]
    answers = [fitted.predict(form) for form in forms]
    assert {len(answer) for answer in answers} == {1}
    assert len({answer.confidence[0] for answer in answers}) == 1
    assert "\n" not in repr(answers[0])
    assert repr(answers[0]) == f"<1 prediction: {shortened(files[0])}: {answers[0][0]}>"
    assert answers[0][0].name == "<dark>"


def shortened(path: Path) -> str:
    return str(path) if len(str(path)) <= 40 else f"…{str(path)[-39:]}"


def test_rows_slices_and_masks(fitted: Recognizer, files: list[Path]) -> None:
    predictions = fitted.predict(files)
    assert [row.path for row in predictions] == [str(path) for path in files]
    first, broken = predictions[0], predictions[1]
    assert isinstance(first, Prediction)
    assert first.confidence == pytest.approx(first.probabilities["<dark>"])
    assert first.label_set is not None
    assert "<dark>" in first.label_set
    assert broken.error is not None
    assert broken.unknown
    assert str(broken).startswith("cannot be read: ")
    assert predictions[-1].name == "bright"
    for kept in (predictions[1:], predictions[predictions.labels != 0], predictions[[1, 2]]):
        assert isinstance(kept, Predictions)
        assert len(kept) in (1, 2)
    assert list(predictions[1:].errors) == [0]
    assert predictions[1:][0].path == str(files[1])
    with pytest.raises(IndexError):
        predictions[3]


def test_many_predictions_are_a_few_lines(fitted: Recognizer) -> None:
    text = repr(fitted.predict(np.repeat(PIXELS, 5, axis=0)))
    assert len(text.splitlines()) == 7
    assert text.startswith("<200 predictions")
    assert "array#0  <dark> (" in text
    assert text.endswith("… and 195 more>")


def test_a_table(fitted: Recognizer, files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    table = fitted.predict(files).to_pandas()
    assert list(table.columns) == ["path", "label", "confidence", "unknown", "label_set", "error"]
    assert table.label.tolist() == ["<dark>", "", "bright"]
    assert table.error.map(bool).tolist() == [False, True, False]
    assert list(fitted.predict(PIXELS[:0]).to_pandas().columns) == list(table.columns)
    monkeypatch.setitem(sys.modules, "pandas", None)  # as where it is not installed
    with pytest.raises(UsageError, match="pip install pandas"):
        fitted.predict(files).to_pandas()


def test_a_notebook_shows_a_dozen_of_them(fitted: Recognizer, files: list[Path]) -> None:
    many = fitted.predict(PIXELS)._repr_html_()
    assert many.count("<img ") == 12
    assert "12 of 40 are shown" in many
    assert "&lt;dark&gt; (" in many
    assert "<dark>" not in many
    few = fitted.predict(files)._repr_html_()
    assert few.count("<img ") == 2
    assert "1 cannot be read" in few
    assert "accuracy" in fitted._repr_html_()
    assert "&lt;dark&gt;, bright" in fitted._repr_html_() or "bright, &lt;dark&gt;" in fitted._repr_html_()
    assert "fitted" in Recognizer()._repr_html_()


def test_labels_beside_the_pictures(fitted: Recognizer) -> None:
    images = Images.of(PIXELS, NAMES)
    assert fitted.score(PIXELS, NAMES) == fitted.score(images) > 0.9
    assert fitted.score(PIXELS, NAMES[::-1]) < 0.1
    report = fitted.evaluate(PIXELS, NAMES, unknown=255 - PIXELS[:20])
    assert report.scores["accuracy"].value == fitted.score(images)
    assert "accuracy" in report._repr_html_()
    numbers = np.repeat([7, 3], 20)
    numbered = Recognizer("convnet", epochs=1).fit(list(PIXELS), numbers, validate=Images.of(PIXELS, numbers))
    assert numbered.classes_ == ("3", "7")


def test_methods_take_any_form(fitted: Recognizer, files: list[Path]) -> None:
    images, paths = Images.of_files(files[::2]), files[::2]
    assert torch.equal(fitted.embed(paths), fitted.embed(images))
    assert torch.equal(fitted.explain(paths), fitted.explain(images))
    assert fitted.neighbours(PIXELS[0], k=2).paths.shape == (1, 2)
    assert [len(batch) for batch in fitted.predict_batches(PIXELS)] == [40]
    assert fitted.calibrate(PIXELS, NAMES).temperature_ > 0


def test_what_cannot_be_taken_is_named(fitted: Recognizer) -> None:
    with pytest.raises(DataError, match="Pictures are taken as Images, a path"):
        fitted.predict(None)
    with pytest.raises(DataError, match="40 pictures need 40 labels"):
        fitted.fit(PIXELS, NAMES[:3])
    with pytest.raises(DataError, match=r"floats in 0\.\.1"):
        fitted.predict(PIXELS.astype(np.float32))
    with pytest.raises(DataError, match="The pictures have no labels"):
        Recognizer("convnet", epochs=1).fit(PIXELS)
