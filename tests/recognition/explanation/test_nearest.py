"""The nearest training pictures: their paths and labels, and their files where these still exist."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from diptych import Images, Recognizer, load
from diptych.errors import DataError, UsageError
from diptych.recognition.evaluation import evaluate
from diptych.recognition.evaluation.worst_errors import ErrorExplainer
from diptych.recognition.inference.named_pictures import NamedPictures


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
    path = recognizer.embedding_index_.pictures.names[5]
    query = Images.of_files([path])
    matches = recognizer.neighbours(query, 4)
    assert matches.paths.shape == matches.names.shape == matches.similarities.shape == (1, 4)
    assert matches.similarities[0, 0] == pytest.approx(1, abs=1e-2)
    first = matches.rows(0)[0]
    assert first.keys() == {"path", "label", "similarity"}
    assert first["label"] in path
    assert load(into).neighbours(query, 4).rows(0) == matches.rows(0)


def test_named_pictures_are_known_by_their_contents_from_every_folder(folder, tmp_path, monkeypatch):
    home, other = tmp_path / "home", tmp_path / "other"
    shutil.copytree(folder, home / "photos")
    shutil.copytree(folder / "digit 1", other / "photos" / "digit 0")  # another project with pictures of the same names
    monkeypatch.chdir(home)
    images = Images.open("photos")
    pictures = NamedPictures.of(images)
    assert pictures.paths() == images.paths.tolist()
    monkeypatch.chdir(other)
    assert pictures.paths()[5] == str(home / pictures.names[5])
    assert np.array_equal(pictures.by_row([5])[5].picture(0, 32), Images.open(home / "photos").picture(5, 32))
    shutil.copy(home / pictures.names[6], home / pictures.names[5])
    (home / pictures.names[7]).unlink()
    assert pictures.by_row([4, 5, 6, 7, 4]).keys() == {4, 6}
    assert sum(map(len, pictures.existing())) == len(pictures) - 2


def test_the_pixels_of_the_nearest_pictures(fitted):
    query = Images.of_files([fitted[0].embedding_index_.pictures.names[5]])
    assert np.array_equal(load(fitted[1]).neighbours(query).pixels(0, 32)[0], query.picture(0, 32))


def test_a_picture_of_a_file_of_many_is_found_and_one_of_an_earlier_version_is_not_certain():
    digits = Images.open("digits")[3:5]
    pictures = NamedPictures.of(digits)
    assert np.array_equal(pictures.by_row([1])[1].picture(0, 8), digits.picture(1, 8))
    assert NamedPictures.read(pictures.names, pictures.digests_text(), {}).existing()[0].paths.tolist() == [
        *pictures.names
    ]
    assert NamedPictures.read(pictures.names, None, {}).existing() == []


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
    assert recognizer.embedding_index_.pictures.names[0].rsplit("/", 2)[0] in card.facts["nearest training picture"]
    assert card.facts["picture"] == "array#3"
