"""Several labels a picture, from a metadata file to the report: digits pasted side by side."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from diptych import Images, Recognizer, load
from diptych.cli.app import run

DIGITS = 6


def sheets(folder, digits, n, seed):
    """Pictures of two digits, at any height of 16 px, and a metadata.csv that tells which."""
    draw = np.random.default_rng(seed)
    ink, labels = digits.pixels(8)[:, 0].numpy(), digits.labels
    usable = np.flatnonzero(labels < DIGITS)
    folder.mkdir()
    rows = [("file_name", "labels")]
    for i in range(n):
        left, right = draw.choice(usable, 2)
        top, sheet = draw.integers(0, 9), np.zeros((16, 16), np.uint8)
        sheet[top : top + 8] = np.concatenate([ink[left], ink[right]], axis=1)
        Image.fromarray(sheet).save(folder / f"{i:04d}.png")
        rows.append((f"{i:04d}.png", "|".join(sorted({str(labels[left]), str(labels[right])}))))
    with (folder / "metadata.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Sheets of some digits to train on, of others to test on, and the model."""
    place, digits = tmp_path_factory.mktemp("sheets"), Images.open("digits")
    train = sheets(place / "train", digits[:1200], 900, 0)
    sheets(place / "test", digits[1200:], 200, 1)
    Recognizer("speednet-s", epochs=6).fit(Images.open(train), into=place / "model")
    return place


def test_digits_side_by_side_are_both_predicted(place):
    report = load(place / "model").evaluate(Images.open(place / "test"))
    assert report.scores["macro_f1"].value >= 0.9
    assert report.scores["macro_f1"].low > 0.85
    assert report.scores["coverage"].value > 0.85
    table = report.tables["Classes"]
    assert [row[0] for row in table.rows] == [str(k) for k in range(DIGITS)]
    assert all(row[-1].value > 0.8 for row in table.rows)
    thresholds = report.tables["A label is predicted from this probability on"]
    assert all(0.1 <= row[1] <= 0.9 for row in thresholds.rows)


def test_predictions_hold_their_labels_and_sets(place):
    images = Images.open(place / "test")
    predictions = load(place / "model").predict(images)
    targets = images.relabel(predictions.classes).labels
    assert predictions.labels.shape == predictions.sets.shape == (200, DIGITS)
    assert (predictions.sets | ~predictions.labels).all()  # a predicted label is in its set
    assert (predictions.sets & targets).sum() >= (predictions.labels & targets).sum()


def test_the_command_line_prints_lists_of_labels(place, capsys):
    first = place / "test" / "0000.png"
    assert run(["predict", str(place / "model"), str(first), "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert isinstance(row["label"], list)
    assert set(row["label"]) <= set(row["set"])
    assert run(["evaluate", str(place / "model"), str(place / "test"), "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert scores["macro_f1"]["value"] >= 0.9
    assert scores["coverage"]["n"] == 200
    assert scores["per_class"].keys() == {str(k) for k in range(DIGITS)}


def test_the_card_and_the_page_show_the_thresholds(place):
    card = (place / "model" / "README.md").read_text()
    assert "A picture may have several labels." in card
    assert "Each label is predicted from its own threshold on: 0 0." in card
    assert "A label is predicted from this probability on" in (place / "model" / "report.html").read_text()
