"""One contract for every model: what a person may rely on whichever they fit.

A model joins by an entry in ``MODELS``: a small one that fits in seconds, and the settings that it is made with.
"""

import json
import os
import pickle
import shutil
import signal
import threading
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from diptych import GAN, VAE, Flow, Images, Recognizer, load
from diptych.data.training_digests import stored_digests, trained_on
from diptych.engine import checkpoint
from diptych.errors import ArtefactError, Interrupted, NotFittedError, UsageError
from diptych.synthesis.editing import latents


@dataclass(frozen=True)
class Model:
    """A small model: its class, its settings, and its output after ``fit``, as one tensor."""

    kind: type
    settings: dict[str, Any] = field(default_factory=dict)

    def make(self, **changed):
        return self.kind(**{**self.settings, **changed})

    def answer(self, fitted, images: Images) -> Tensor:
        if isinstance(fitted, Recognizer):
            return torch.from_numpy(fitted.predict(images).probabilities)
        return fitted.sample(6, seed=3).pixels(8).float()


MODELS = {
    "convnet": Model(Recognizer, {"network": "convnet", "epochs": 3, "batch": 16}),
    "speednet": Model(Recognizer, {"network": "speednet-s", "epochs": 4, "batch": 32}),
    "gan": Model(GAN, {"epochs": 2, "batch": 16}),
    "gan minimax": Model(GAN, {"network": "dcgan-classic", "loss": "minimax", "epochs": 2, "batch": 16}),
    "vae": Model(VAE, {"latent": 8, "epochs": 2, "batch": 16}),
    "flow": Model(Flow, {"steps": 2, "epochs": 2, "batch": 16}),
}


@pytest.fixture(params=MODELS.values(), ids=MODELS.keys())
def model(request) -> Model:
    return request.param


@pytest.fixture(scope="session")
def digits() -> Images:
    """Three digits, 40 of each."""
    every = Images.open("digits")
    rows = np.concatenate([np.flatnonzero(every.labels == k)[:40] for k in range(3)])
    return every[rows].relabel(every.classes)


@pytest.fixture(scope="session")
def finished(digits, tmp_path_factory):
    """Each model, fitted once: (fitted, its folder)."""
    fitted: dict[int, tuple[Any, Any]] = {}

    def of(model: Model):
        if id(model) not in fitted:
            folder = tmp_path_factory.mktemp("models") / "model"
            fitted[id(model)] = (model.make().fit(digits, into=folder), folder)
        return fitted[id(model)]

    return of


def weights(folder) -> bytes:
    return (folder / "weights.safetensors").read_bytes()


def test_init_only_stores(model):
    unfitted = model.make()
    stored = {name: getattr(unfitted, name) for name in model.settings}
    assert stored == model.settings
    assert not [name for name in vars(unfitted) if name.endswith("_")]


def test_repr_names_what_was_set(model):
    shown = repr(model.make())
    assert shown.startswith(model.kind.__name__ + "(")
    assert all(f"{name}={value!r}" in shown for name, value in model.settings.items())


def test_unfitted_models_raise_not_fitted(model, digits, tmp_path):
    with pytest.raises(NotFittedError, match="fit"):
        model.answer(model.make(), digits)
    with pytest.raises(NotFittedError, match="fit"):
        model.make().save(tmp_path / "nothing")


def test_unfitted_models_can_be_pickled(model):
    back = pickle.loads(pickle.dumps(model.make()))
    assert repr(back) == repr(model.make())


def test_the_same_seed_gives_the_same_model(model, digits, finished, tmp_path):
    torch.rand(7)  # whatever was drawn before
    model.make().fit(digits, into=tmp_path / "again")
    assert weights(tmp_path / "again") == weights(finished(model)[1])


def test_another_seed_gives_another_model_and_fit_returns_the_model_itself(model, digits, finished, tmp_path):
    unfitted = model.make(seed=1)
    assert unfitted.fit(digits, into=tmp_path / "other") is unfitted
    assert weights(tmp_path / "other") != weights(finished(model)[1])


def test_loaded_models_answer_alike(model, digits, finished):
    fitted, folder = finished(model)
    loaded = load(folder)
    assert torch.equal(model.answer(loaded, digits), model.answer(fitted, digits))


def test_a_fitted_model_has_a_report_and_a_loaded_one_its_page(model, finished):
    fitted, folder = finished(model)
    assert fitted.report_.scores
    assert load(folder).report_ is None
    assert (folder / "report.html").read_text(encoding="utf-8") == fitted.report_.html()


def test_a_loaded_model_can_be_saved_again(model, digits, finished, tmp_path):
    fitted, folder = finished(model)
    load(folder).save(tmp_path / "copy")
    assert torch.equal(model.answer(load(tmp_path / "copy"), digits), model.answer(fitted, digits))
    assert (tmp_path / "copy" / "README.md").exists()


def test_the_artefact_is_complete(model, finished):
    folder = finished(model)[1]
    names = {path.name for path in folder.iterdir()}
    assert names >= {"model.json", "weights.safetensors", "data.json", "README.md", "history.jsonl", "report.html"}
    assert "checkpoint" not in names
    facts = json.loads((folder / "model.json").read_text())
    assert facts["parameters"] | model.settings == facts["parameters"]


def test_an_interrupted_fit_leaves_a_usable_model_and_continues_to_the_same_weights(model, digits, finished, tmp_path):
    folder = tmp_path / "resumed"
    with pytest.raises(Interrupted, match="can be used") as stop:
        _interrupted(model, digits, folder)
    assert "The same command continues the run" in str(stop.value)
    usable, before = model.answer(load(folder), digits), weights(folder)
    assert usable.isfinite().all()
    assert usable.shape == model.answer(finished(model)[0], digits).shape
    assert "unfinished" in json.loads((folder / "model.json").read_text())
    assert "has not finished" in (folder / "report.html").read_text()
    with pytest.raises(UsageError, match="A run keeps its length"):
        model.make(epochs=9).fit(digits, into=folder)
    with pytest.raises(UsageError, match="has not finished"):
        model.make().fit(digits, into=folder, more=1)
    model.make().fit(digits, into=folder)
    assert weights(folder) == weights(finished(model)[1]) != before
    assert "unfinished" not in json.loads((folder / "model.json").read_text())


def test_the_same_fit_again_is_finished_at_once(model, digits, finished):
    fitted, folder = finished(model)
    before = (folder / "model.json").stat().st_mtime_ns
    again = model.make().fit(digits, into=folder)
    assert (folder / "model.json").stat().st_mtime_ns == before
    assert torch.equal(model.answer(again, digits), model.answer(fitted, digits))


def test_another_fit_into_the_same_folder_is_refused(model, digits, finished, tmp_path):
    shutil.copytree(finished(model)[1], tmp_path / "occupied")
    with pytest.raises(UsageError, match="seed"):
        model.make(seed=5).fit(digits, into=tmp_path / "occupied")


def history(folder) -> list[int]:
    return [json.loads(line)["seen_pictures"] for line in (folder / "history.jsonl").read_text().splitlines()]


def test_each_time_more_is_asked_for_the_finished_model_is_trained_further(model, digits, finished, tmp_path):
    folder = shutil.copytree(finished(model)[1], tmp_path / "extended")
    for number in (1, 2):
        before, seen = weights(folder), history(folder)[-1]
        extended = model.make().fit(digits, into=folder, more=0.02)
        records = json.loads((folder / "model.json").read_text())["extensions"]
        assert len(records) == number
        better = records[-1]["result"] == "extended"
        assert (weights(folder) != before) == better
        assert (history(folder)[-1] > seen) == better
        assert history(folder) == sorted(set(history(folder)))
        assert torch.equal(model.answer(load(folder), digits), model.answer(extended, digits))
    assert not (folder / "extension").exists()
    assert (folder / "README.md").read_text().count("0.02 more minutes") == 2
    assert (folder / "report.html").read_text().count("<caption>Extensions</caption>") == 1
    again = model.make().fit(digits, into=folder)
    assert torch.equal(model.answer(again, digits), model.answer(extended, digits))
    assert len(json.loads((folder / "model.json").read_text())["extensions"]) == 2


def test_what_an_extension_changes_is_better_on_the_pictures_held_out_from_the_start(model, digits, finished):
    folder = finished(model)[1]
    data = json.loads((folder / "data.json").read_text())
    extended = load(folder).fit(digits, more=0.02)  # in memory: the folder stays as it is
    (record,) = extended._facts["extensions"] if isinstance(extended, Recognizer) else extended._record["extensions"]
    if record["result"] == "extended" and "measure" in record:
        before, after = record["before"]["value"], record["after"]["value"]
        higher_is_better = record["measure"] in ("accuracy", "balanced accuracy", "macro F1")
        assert (after > before) == higher_is_better
    held_out = extended._data if isinstance(extended, Recognizer) else extended._model_files.data
    for name in ("fingerprint", "held_out", "validation", "digests"):
        assert held_out.get(name) == data.get(name)
    assert "extensions" not in json.loads((folder / "model.json").read_text())


def test_more_of_what_is_no_finished_model_is_refused_with_what_to_do(model, digits, finished, tmp_path):
    with pytest.raises(UsageError, match=r"no model in .* Fit it first"):
        model.make().fit(digits, into=tmp_path / "nothing", more=1)
    with pytest.raises(UsageError, match="no model to train further"):
        model.make().fit(digits, more=1)
    with pytest.raises(UsageError, match=r"more must be a number, 0\.001 or more"):
        model.make().fit(digits, into=finished(model)[1], more=0)
    with pytest.raises(UsageError, match="not inf"):
        model.make().fit(digits, into=finished(model)[1], more=float("inf"))
    with pytest.raises(UsageError, match="seed: 0 there, 5 here"):
        model.make(seed=5).fit(digits, into=finished(model)[1], more=1)
    with pytest.raises(UsageError, match=r"already holds a run on other pictures: \d+ pictures are gone \(|data"):
        model.make().fit(digits[:100], into=finished(model)[1], more=1)
    checkpoint.claim(tmp_path / "begun", {"seed": 0})
    with pytest.raises(UsageError, match="has not finished"):
        model.make().fit(digits, into=tmp_path / "begun", more=1)
    assert not (tmp_path / "nothing").exists()


def test_more_minutes_or_epochs_than_a_finished_model_has_point_to_more(model, digits, finished):
    with pytest.raises(UsageError, match="--more MINUTES"):
        model.make(epochs=9).fit(digits, into=finished(model)[1])


def test_a_kill_between_saving_an_extended_model_and_the_end_is_no_further_extension(model, digits, finished, tmp_path):
    folder = shutil.copytree(finished(model)[1], tmp_path / "extended")
    model.make().fit(digits, into=folder, more=0.02)
    run = folder / "extension" / "checkpoint" / "run.json"
    run.parent.mkdir(parents=True)
    facts = json.loads((folder / "model.json").read_text())
    settings = {**facts["settings"], "extension": 1, "more": 0.02, "weights": ""}
    run.write_text(json.dumps({"format": facts["format"], "settings": settings}))
    before = weights(folder)
    model.make().fit(digits, into=folder, more=0.02)
    assert weights(folder) == before
    assert len(json.loads((folder / "model.json").read_text())["extensions"]) == 1
    assert not (folder / "extension").exists()


@pytest.fixture(scope="session")
def other_digits() -> Images:
    """Three digits, of which two are among those of ``digits``, some in the same pictures."""
    every = Images.open("digits")
    rows = np.concatenate([np.flatnonzero(every.labels == k)[20:60] for k in (3, 2, 1)])
    return every[rows].relabel(["3", "2", "1", *(name for name in every.classes if name not in "321")])


def test_a_model_starts_from_another_with_other_classes(model, other_digits, finished, tmp_path):
    source, folder = finished(model)
    begun = model.make(seed=3).fit(other_digits, into=tmp_path / "begun", start=folder)
    assert set(begun.classes_) == {"1", "2", "3"}
    facts = json.loads((tmp_path / "begun" / "model.json").read_text())
    assert facts["started_from"]["classes"] == 3
    before = (tmp_path / "begun" / "model.json").stat().st_mtime_ns
    again = model.make(seed=3).fit(other_digits, into=tmp_path / "begun", start=source)  # the same weights, loaded
    assert (tmp_path / "begun" / "model.json").stat().st_mtime_ns == before
    assert torch.equal(model.answer(again, other_digits), model.answer(begun, other_digits))
    with pytest.raises(UsageError, match="start"):
        model.make(seed=3).fit(other_digits, into=tmp_path / "begun")


def test_a_model_is_not_validated_on_pictures_that_the_one_it_starts_from_was_trained_on(model, digits, finished):
    source, folder = finished(model)
    data = json.loads((folder / "data.json").read_text())
    begun = model.make(seed=3).fit(digits, start=source)
    held_out = begun._data if isinstance(begun, Recognizer) else begun._model_files.data
    assert trained_on(digits, stored_digests(held_out)).sum() >= trained_on(digits, stored_digests(data)).sum()
    names = held_out.get("validation", {}).get("pictures", [])
    validation = digits[np.isin(digits.paths, names)]
    assert not trained_on(validation, stored_digests(data)).any()
    count = len(names) if isinstance(begun, Recognizer) else held_out["held_out"]
    assert 0 < count <= (~trained_on(digits, stored_digests(data))).sum()


def test_a_start_that_is_no_such_model_is_refused(model, digits, tmp_path):
    with pytest.raises(UsageError, match="start"):
        model.make().fit(digits, start=3)
    with pytest.raises(ArtefactError, match="no model at"):
        model.make().fit(digits, start=tmp_path / "nowhere")


def test_minutes_and_epochs_exclude_each_other(model, digits):
    with pytest.raises(UsageError, match="minutes"):
        model.make(minutes=1.0, epochs=1).fit(digits)


@pytest.fixture(params=[name for name, model in MODELS.items() if model.kind is not Recognizer])
def synthesizer(request, finished):
    """Each fitted synthesizer."""
    return finished(MODELS[request.param])[0]


EDITS = {
    "reconstruct": lambda model, images, mask: model.reconstruct(images),
    "interpolate": lambda model, images, mask: model.interpolate(images[:2], images[1:], steps=3),
    "traverse": lambda model, images, mask: model.traverse(images[:1], directions=2, steps=3),
    "inpaint": lambda model, images, mask: model.inpaint(images, mask, seed=4),
    "blend": lambda model, images, mask: model.blend(images, mask=mask, seed=4),
    "restyle": lambda model, images, mask: model.restyle(images, "2", strength=0.5),
}


@pytest.fixture
def short_search(monkeypatch):
    """Few of the steps in which a GAN searches for the latents of a picture."""
    monkeypatch.setattr(latents, "INVERSION_STEPS", 20)


@pytest.mark.usefixtures("short_search")
@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_an_edit_is_the_same_each_time_and_names_its_source(synthesizer, digits, edit):
    images = digits[[0, 45, 90]]
    mask = np.arange(64).reshape(8, 8) % 8 > 3
    edited = edit(synthesizer, images, mask)
    torch.rand(3)  # whatever is drawn in between
    assert torch.equal(edited.pixels(8), edit(synthesizer, images, mask).pixels(8))
    assert set(edited.origins) <= {"synthetic", "composite"}
    assert edited.classes == synthesizer.classes_
    assert all(any(path in source for path in images.paths) for source in edited.groups["source"])


@pytest.mark.usefixtures("short_search")
def test_inpainting_keeps_the_pixels_outside_the_mask_to_the_bit(synthesizer, digits):
    images = digits[[3, 50]]
    mask = np.zeros((8, 8), bool)
    mask[2:6, 3:7] = True
    inpainted, original = synthesizer.inpaint(images, mask).pixels(8), images.pixels(8)
    assert torch.equal(inpainted[:, :, ~mask], original[:, :, ~mask])
    assert not torch.equal(inpainted, original)


def _interrupted(model: Model, images: Images, folder) -> None:
    """Fit, with Ctrl-C once the run has begun and taken some steps."""
    ended = threading.Event()

    def press() -> None:
        while not ended.is_set():
            history = folder / "history.jsonl"
            if history.exists() and history.read_text().count("\n") >= 1:
                os.kill(os.getpid(), signal.SIGINT)
                return
            ended.wait(0.002)

    presser = threading.Thread(target=press)
    presser.start()
    try:
        model.make().fit(images, into=folder)
    finally:
        ended.set()
        presser.join()
