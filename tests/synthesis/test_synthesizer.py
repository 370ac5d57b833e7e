"""What holds for all three synthesizers, on a model of a few pictures and steps."""

import json

import numpy as np
import pytest
import torch

import diptych
from diptych.data.images import Images
from diptych.errors import ArtefactError, DataError, UsageError

KINDS = {"gan": diptych.GAN, "vae": diptych.VAE, "flow": diptych.Flow}
FAST = {"gan": {}, "vae": {"latent": 6}, "flow": {"steps": 2}}


def _images(n: int, size: int, labelled: bool = True) -> Images:
    """Red, green and blue noise."""
    labels = np.arange(n) % 3
    pixels = np.random.default_rng(0).integers(0, 100, (n, size, size, 3), np.uint8)
    pixels[np.arange(n), :, :, labels] += 120
    return Images.from_arrays(pixels, labels if labelled else None, classes=("red", "green", "blue"))


@pytest.fixture(scope="module", params=sorted(KINDS))
def model(request):
    return KINDS[request.param](epochs=1, batch=16, **FAST[request.param]).fit(_images(24, 8))


@pytest.fixture(scope="module", params=sorted(KINDS))
def large(request):
    return KINDS[request.param](epochs=1, batch=4, **FAST[request.param]).fit(_images(12, 64))


def _array(images: Images) -> np.ndarray:
    return images.pixels(int(images.dimensions()[0, 0])).numpy()


def test_a_picture_is_the_same_alone_and_among_others(model):
    many = _array(model.sample(37, seed=5))
    assert np.array_equal(_array(model.sample(100, seed=0))[5:42], many)
    for i in (0, 1, 17, 36):
        assert np.array_equal(_array(model.sample(1, seed=5 + i))[0], many[i])


def test_a_large_picture_is_the_same_alone_and_among_others(large):
    many = _array(large.sample(11, seed=2))
    assert np.array_equal(_array(large.sample(9, seed=4)), many[2:])
    assert np.array_equal(_array(large.sample(1, seed=5))[0], many[3])


def test_a_drawn_label_gives_the_picture_that_is_sampled_with_that_label(model):
    drawn = model.sample(6)
    assert set(drawn.labels) > {0}
    for i, label in enumerate(drawn.labels):
        labelled = model.sample(1, label=drawn.classes[label], seed=i)
        assert np.array_equal(_array(labelled)[0], _array(drawn)[i])


def test_networks_of_another_version_are_refused(model, tmp_path):
    path = model.save(tmp_path / "saved") / "model.json"
    facts = json.loads(path.read_text())
    facts["layout"]["width"] *= 2
    path.write_text(json.dumps(facts))
    with pytest.raises(ArtefactError, match=r"the tensor \S+ has the shape"):
        diptych.load(tmp_path / "saved")


def test_samples_say_what_they_are(model):
    samples = model.sample(3, label="blue", seed=7)
    assert samples.classes == ("red", "green", "blue")
    assert samples.labels.tolist() == [2, 2, 2]
    assert set(samples.origins) == {"synthetic"}
    assert samples.paths.tolist() == [f"{model.kind}#{seed}" for seed in (7, 8, 9)]


def test_what_cannot_be_sampled_is_refused_with_the_cure(model):
    with pytest.raises(UsageError, match=r"no class 'pink'.*red, green, blue"):
        model.sample(1, label="pink")
    with pytest.raises(UsageError, match="n must be a whole number, 1 or more"):
        model.sample(0)
    with pytest.raises(UsageError, match="Latents of this model"):
        model.decode(model.sample(1).pixels(8).float())


def test_encode_and_decode_belong_together(model, monkeypatch):
    monkeypatch.setattr("diptych.synthesis.editing.latents.INVERSION_STEPS", 20)  # of the search for a GAN's
    images = _images(5, 8)
    latents = model.encode(images)
    assert latents.shape[0] == 5
    decoded = model.decode(latents, label=["red", "green", "blue", "red", "green"])
    assert decoded.labels.tolist() == [0, 1, 2, 0, 1]
    assert np.array_equal(_array(decoded), _array(model.reconstruct(images)))
    if model.kind != "gan":
        assert len(model.decode(latents)) == 5


def test_noise_in_blocks_gives_the_same_pictures(model, monkeypatch):
    whole = _array(model.sample(7))
    monkeypatch.setattr("diptych.synthesis.model.NOISE_BLOCK", 3)
    assert np.array_equal(_array(model.sample(7)), whole)


def test_a_conditional_gan_decodes_only_with_a_label(model):
    latents = torch.randn(2, model._latent_length())
    if model.kind == "gan":
        with pytest.raises(UsageError, match="needs a label"):
            model.decode(latents)
    assert model.decode(latents, label="blue").labels.tolist() == [2, 2]


def test_a_flow_runs_backwards():
    images = _images(24, 8)
    flow = diptych.Flow(epochs=8, batch=8, steps=2).fit(images).with_steps(30)
    again = flow.decode(flow.encode(images), label=[images.classes[k] for k in images.labels])
    apart = np.abs(_array(again)[:, None].astype(float) - _array(images)).mean(axis=(2, 3, 4))
    assert (apart.argmin(axis=1) == np.arange(24)).all()


def test_without_labels_it_is_unconditional_and_takes_none():
    model = diptych.GAN(epochs=1, batch=8).fit(_images(16, 8, labelled=False))
    assert model.classes_ == ()
    assert (model.sample(2).labels == -1).all()
    with pytest.raises(UsageError, match="fitted without labels"):
        model.sample(1, label="red")


@pytest.mark.parametrize("loss", ["minimax", "non-saturating"])
def test_the_artefact_holds_grids_facts_data_card_and_report(tmp_path, loss):
    folder = tmp_path / "model"
    diptych.GAN(loss=loss, epochs=4, batch=8).fit(_images(120, 8), into=folder)
    grids = sorted(path.stem for path in (folder / "samples").iterdir())
    assert grids[-1] == f"{4 * 114:09d}" or int(grids[-1]) >= 4 * 114
    facts = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    assert facts["kind"] == "gan"
    assert facts["parameters"]["loss"] == loss
    data = json.loads((folder / "data.json").read_text(encoding="utf-8"))
    assert (data["pictures"], data["held_out"]) == (114, 6)
    assert "generated, not photographed" in (folder / "README.md").read_text(encoding="utf-8")
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "data:image/png" in page
    samples, real = page.index("Generated, not selected"), page.index("Real pictures that it was trained on")
    assert samples < real < page.index("More figures and settings") < page.index('<dl class="scores">')


def test_a_handful_of_pictures_is_refused():
    with pytest.raises(DataError, match="needs at least 10"):
        diptych.Flow().fit(_images(5, 8))


def test_the_report_of_a_run_is_the_models_and_none_of_a_loaded_one(model, tmp_path):
    assert model.report_.scores.keys() == model.scores_.keys()
    assert model.report_.facts["batch"] == 16
    loaded = diptych.load(model.save(tmp_path / "model"))
    assert loaded.report_ is None
    assert loaded.scores_.keys() == model.scores_.keys()
    page = loaded.save(tmp_path / "again") / "report.html"
    assert page.read_text(encoding="utf-8") == model.report_.html()
