"""The nearest training pictures: their paths and labels, and their files where these still exist."""

import numpy as np
import pytest
import torch
from PIL import Image

from diptych import Images, Recognizer, load
from diptych.errors import DataError, UsageError
from diptych.recognition.evaluation import evaluate
from diptych.recognition.evaluation.worst_errors import ErrorExplainer
from diptych.recognition.explanation.nearest import read_picture


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Digits 0 and 1 as files, 40 of each."""
    root = tmp_path_factory.mktemp("data")
    digits = Images.open("digits")
    for k in (0, 1):
        (root / f"digit {k}").mkdir()
        for j, i in enumerate(np.flatnonzero(digits.labels == k)[:40].tolist()):
            Image.fromarray(digits.picture(i)).save(root / f"digit {k}" / f"{j:02d}.png")
    return root


@pytest.fixture(scope="module")
def fitted(folder, tmp_path_factory):
    into = tmp_path_factory.mktemp("models") / "digits"
    return Recognizer("convnet", epochs=4, batch=16).fit(Images.open(folder), into=into), into


def test_a_training_picture_is_nearest_to_itself(fitted, folder):
    recognizer, into = fitted
    path = recognizer.embedding_index_.paths[5]
    query = Images.of_files([path])
    matches = recognizer.neighbours(query, 4)
    assert matches.paths.shape == matches.names.shape == matches.similarities.shape == (1, 4)
    assert matches.similarities[0, 0] == pytest.approx(1, abs=1e-2)
    first = matches.rows(0)[0]
    assert first.keys() == {"path", "label", "similarity"}
    assert first["label"] in path
    assert load(into).neighbours(query, 4).rows(0) == matches.rows(0)


def test_files_are_read_while_they_exist(fitted, tmp_path):
    path = fitted[0].embedding_index_.paths[0]
    assert read_picture(path, 32).shape == (32, 32, 3)
    assert read_picture(str(tmp_path / "gone.png"), 32) is None
    assert read_picture("digits#3", 32) is None
    (tmp_path / "odd.png").write_text("no picture")
    assert read_picture(str(tmp_path / "odd.png"), 32) is None


def test_a_recognizer_without_an_index_names_the_cure(fitted, folder):
    recognizer = load(fitted[1])
    recognizer.embedding_index_ = None
    with pytest.raises(DataError, match="Train one without epsilon"):
        recognizer.neighbours(Images.open(folder)[:1])


def test_less_than_one_neighbour_is_refused(fitted, folder):
    with pytest.raises(UsageError, match="1 or more"):
        fitted[0].neighbours(Images.open(folder)[:1], 0)


def test_the_worst_errors_are_shown_with_their_explanations(fitted, folder):
    recognizer = fitted[0]
    images = Images.open(folder)[::8]
    wrong = images.labels.copy()
    wrong[3] = 1 - wrong[3]
    relabelled = Images.from_arrays(images.pixels(8).permute(0, 2, 3, 1).numpy(), wrong, classes=images.classes)
    report = evaluate.evaluation_report(
        "Evaluation",
        relabelled,
        torch.nn.functional.one_hot(torch.tensor(images.labels), 2) * 4.0,
        recognizer._decision_rule,
        ErrorExplainer(recognizer.network_, recognizer.size_, recognizer.embedding_index_),
    )
    (cards,) = report.cards.values()
    (card,) = cards
    predicted = images.classes[images.labels[3]]
    assert list(card.pictures)[:2] == ["picture", f"attribution for {predicted}"]
    assert list(card.pictures)[2].startswith("nearest training picture: digit")
    assert len(set(card.pictures.values())) == 3
    assert recognizer.embedding_index_.paths[0].rsplit("/", 2)[0] in card.facts["nearest training picture"]
    assert card.facts["picture"] == "array#3"
