import json
import logging
import time

import numpy as np
import pytest
import torch
from torch import nn

from diptych import Images, Recognizer, load
from diptych.artefact import read
from diptych.engine.run_settings import budget_counted_from
from diptych.errors import ArtefactError, DataError, UsageError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models") / "digits"


@pytest.fixture(scope="module")
def fitted(digits, folder):
    return Recognizer("convnet", epochs=25, batch=16).fit(digits[::2], into=folder)


class Small(nn.Module):
    def __init__(self, classes, size):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(3 * size * size, 16), nn.ReLU(), nn.Linear(16, classes))

    def forward(self, pictures):
        return self.layers(pictures)


def test_it_learns_digits(fitted, digits):
    unseen = digits[1::2]
    predictions = fitted.predict(unseen)
    assert (predictions.labels == unseen.labels).mean() > 0.9
    assert predictions.names == [predictions.classes[i] for i in predictions.labels]
    assert np.allclose(predictions.probabilities.sum(1), 1, atol=1e-5)
    assert np.allclose(predictions.confidence, predictions.probabilities.max(1))
    assert predictions.unknown.mean() < 0.2
    assert not predictions.errors


def test_predictions_do_not_depend_on_the_batch(fitted, digits):
    together = fitted.predict(digits).probabilities
    alone = np.concatenate([fitted.predict(digits[i : i + 1]).probabilities for i in range(5)])
    assert np.allclose(together[:5], alone, atol=1e-5)


def test_streamed_pictures_get_the_same_predictions(fitted, digits, monkeypatch):
    in_memory = fitted.predict(digits).probabilities
    monkeypatch.setattr(Images, "fits_in_memory", lambda self, size: False)
    assert np.allclose(fitted.predict(digits).probabilities, in_memory, atol=1e-6)


def test_a_picture_that_cannot_be_read_gets_a_row_with_the_reason(fitted, folder_with_a_broken_picture):
    images = Images.open(folder_with_a_broken_picture)
    predictions = fitted.predict(images)
    (bad,) = predictions.errors
    assert images.paths[bad].endswith("broken.png")
    assert predictions.labels[bad] == -1
    assert predictions.names[bad] == ""
    assert np.isnan(predictions.probabilities[bad]).all()
    assert np.isnan(predictions.confidence[bad])
    assert predictions.unknown[bad]
    good = fitted.predict(images[np.arange(len(images)) != bad])
    assert np.allclose(np.delete(predictions.probabilities, bad, 0), good.probabilities, atol=1e-6)
    with pytest.raises(DataError, match="cannot be read"):
        fitted.embed(images)


def test_nothing_to_predict(fitted, digits):
    predictions = fitted.predict(digits[:0])
    assert len(predictions) == 0
    assert predictions.probabilities.shape == (0, 4)
    assert fitted.embed(digits[:0]).shape == (0, 64)


def test_embeddings_have_unit_length_and_cluster_by_class(fitted, digits):
    embeddings = fitted.embed(digits)
    assert embeddings.shape == (160, 64)
    assert torch.allclose(embeddings.norm(dim=1), torch.ones(160), atol=1e-5)
    labels = torch.from_numpy(digits.labels.copy())
    near = (embeddings @ embeddings.T).fill_diagonal_(-1).argmax(1)
    assert (labels[near] == labels).float().mean() > 0.9


def test_evaluate_gives_scores_tables_and_figures(fitted, digits):
    report = fitted.evaluate(digits[1::2])
    scores = {"accuracy", "balanced_accuracy", "macro_f1", "calibration_error", "aurc", "coverage", "set_size"}
    assert set(report.scores) == scores
    score = report.scores["accuracy"]
    assert score.low <= score.value <= score.high
    assert score.n == 80
    assert [row[0] for row in report.tables["Classes"].rows] == list(fitted.classes_)
    assert any(caption.startswith("Which class is taken for which") for caption in report.figures)


def test_pictures_that_were_trained_on_are_left_out_of_the_scores(fitted, folder, digits, tmp_path, caplog):
    fitted_again = load(folder)
    with caplog.at_level("WARNING", "diptych"):
        report = fitted_again.evaluate(digits)
    held_out = len(digits) - 68  # 80 were fitted on, of which 12 were held out
    assert report.scores["accuracy"].n == held_out
    assert f"trained on 68 of the 160 pictures. They are left out: the scores are of the {held_out}" in caplog.text
    assert "trained on 68" in report.findings[0]
    assert report.verdict.word != "not_held_out"
    copies = digits[::2].save(tmp_path / "elsewhere.npz")  # known by their contents, wherever they lie
    trained = np.isin(digits[::2].paths, list(fitted.validated_on().names), invert=True)
    with pytest.raises(DataError, match=r"trained on all of these pictures \(68\)"):
        fitted.evaluate(Images.open(copies)[trained])


def test_evaluate_matches_classes_by_name(fitted, digits):
    reordered = digits.relabel(digits.classes[::-1])
    assert fitted.evaluate(reordered).scores["accuracy"] == fitted.evaluate(digits).scores["accuracy"]


def test_evaluate_refuses_a_class_that_it_does_not_know(fitted):
    five = Images.open("digits")
    with pytest.raises(DataError, match="unknown here"):
        fitted.evaluate(five[:50])


def test_evaluate_needs_labels(fitted, digits):
    bare = Images.from_arrays(digits.pixels(8).permute(0, 2, 3, 1).numpy())
    with pytest.raises(DataError, match="no labels"):
        fitted.evaluate(bare)
    assert len(fitted.predict(bare)) == 160


def test_calibrate_changes_the_confidence_and_not_the_labels(folder, digits):
    model = load(folder)
    before = model.predict(digits)
    model.calibrate(digits[:60])
    after = model.predict(digits)
    assert (before.labels == after.labels).all()
    assert not np.array_equal(before.confidence, after.confidence)
    assert model.temperature_ > 0


def test_calibrate_redoes_the_sets_and_the_unknown_and_the_card_follows(folder, digits, tmp_path):
    model, old = load(folder), json.loads((folder / "model.json").read_text())["calibration"]
    model.calibrate(digits[1::2]).save(tmp_path / "again")
    new = json.loads((tmp_path / "again" / "model.json").read_text())["calibration"]
    assert new["pictures"] == new["familiarity"]["n"] == 80
    assert (new["set_cutoff"], new["familiarity"]) != (old["set_cutoff"], old["familiarity"])
    card = (tmp_path / "again" / "README.md").read_text()
    assert "All three were calibrated on 80 pictures" in card
    assert card.count("## What its confidence means") == 1
    back = load(tmp_path / "again").predict(digits)
    assert np.array_equal(back.sets, model.predict(digits).sets)
    assert np.array_equal(back.unknown, model.predict(digits).unknown)


def test_a_model_calibrated_without_sets_and_familiarity_loads_and_promises_no_sets(folder, digits, tmp_path):
    old = load(folder).save(tmp_path / "old")
    facts = json.loads((old / "model.json").read_text())
    facts["calibration"] = {name: facts["calibration"][name] for name in ("temperature", "response_threshold")}
    del facts["extra_sha256"]
    (old / "model.json").write_text(json.dumps(facts))
    predictions = load(old).predict(digits)
    assert predictions.sets is None
    assert predictions.unknown.mean() < 0.2  # by the largest logit
    assert "coverage" not in load(old).evaluate(digits).scores


def test_pictures_unlike_the_training_data_are_flagged_unknown(fitted, digits):
    noise = np.random.default_rng(0).integers(0, 256, (100, 8, 8, 3)).astype(np.uint8)
    flagged = fitted.predict(Images.from_arrays(noise)).unknown.mean()
    assert flagged >= fitted.predict(digits).unknown.mean()


def test_digits_of_other_kinds_are_less_familiar(fitted, digits):
    """A network from scratch; digits 0 to 3 are known, and those from 4 to 9 strangers."""
    every = Images.open("digits")
    report = fitted.evaluate(digits[1::2], unknown=every[every.labels >= 4][:200])
    assert report.scores["unknown_auroc"].value > 0.85
    assert report.scores["unknown_fpr"].value < 0.25
    assert "are missed" in report.findings[-1]


def test_the_folder_records_the_run(fitted, folder):
    data = json.loads((folder / "data.json").read_text())
    assert len(data["validation"]["pictures"]) == 12
    assert all(path.startswith("digits#") for path in data["validation"]["pictures"])
    facts = json.loads((folder / "model.json").read_text())
    assert facts["calibration"]["temperature"] == fitted.temperature_
    assert facts["calibration"]["familiarity"]["threshold"] == fitted.threshold_
    assert facts["scores"] == fitted.scores_ == load(folder).scores_
    assert facts["scores"]["accuracy"]["n"] == 12
    card = (folder / "README.md").read_text()
    assert "12 pictures that were not trained on" in card
    records = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    assert records[-1]["progress"] == 1
    assert "accuracy" in records[-1]["scores"]


def test_a_custom_network(digits, tmp_path):
    fitted = Recognizer(Small, epochs=3).fit(digits, into=tmp_path / "custom")
    assert fitted.embed(digits).shape == (160, 16)
    with pytest.raises(UsageError, match=r"network=Small"):
        load(tmp_path / "custom")
    loaded = load(tmp_path / "custom", network=Small)
    assert np.array_equal(loaded.predict(digits).probabilities, fitted.predict(digits).probabilities)


def test_several_labels_for_a_picture(tmp_path):
    draw = np.random.default_rng(0)
    labels = draw.random((120, 3)) < 0.5  # which of the channels are bright
    pixels = draw.integers(0, 90, (120, 8, 8, 3)) + 150 * labels[:, None, None, :]
    images = Images.from_arrays(pixels.astype(np.uint8), labels.astype(int), classes=("red", "green", "blue"))
    fitted = Recognizer(Small, epochs=40, lr=0.01).fit(images[:100], into=tmp_path / "colours")
    predictions = fitted.predict(images[100:])
    assert predictions.labels.shape == (20, 3)
    assert (predictions.labels == labels[100:]).mean() > 0.95
    assert predictions.names[0] == ", ".join(
        c for c, on in zip(images.classes, predictions.labels[0], strict=True) if on
    )
    report = fitted.evaluate(images[100:])
    assert report.scores["macro_f1"].value > 0.9
    assert not any(caption.startswith("Confusion") for caption in report.figures)
    back = load(tmp_path / "colours", network=Small)
    assert np.array_equal(back.predict(images).labels, fitted.predict(images).labels)


def test_a_folder_with_a_broken_picture_trains(folder_with_a_broken_picture, tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "diptych"):
        fitted = Recognizer(Small, epochs=1).fit(Images.open(folder_with_a_broken_picture), into=tmp_path / "model")
    assert "broken.png" in caplog.text
    assert fitted.classes_ == ("cat", "dog")
    assert "broken.png" in (tmp_path / "model" / "report.html").read_text()


def test_a_time_budget_is_kept(digits):
    fitted = Recognizer("convnet", minutes=0.05, batch=16).fit(digits)
    assert fitted.report_.facts["seconds"] < 6
    assert fitted.report_.facts["minutes"] == 0.05


def test_a_time_budget_is_counted_from_the_start_of_its_command(digits):
    with budget_counted_from(time.monotonic() - 60):
        fitted = Recognizer("convnet", minutes=1, batch=16).fit(digits)
    assert 60 <= fitted.report_.facts["seconds"] < 90


def test_damaged_weights_are_reported(fitted, folder, tmp_path):
    saved = read(folder)
    saved.weights.pop("head.bias")
    with pytest.raises(ArtefactError, match="damaged"):
        Recognizer.from_artefact(saved)
