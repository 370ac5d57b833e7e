from pathlib import Path

import numpy as np
import pytest

import diptych
from diptych.errors import ArtefactError, UsageError
from diptych.interplay import agreement
from diptych.metrics.intervals import wilson_interval


def _pictures(n: int, names: tuple[str, ...]) -> diptych.Images:
    """Dark pictures and bright ones."""
    noise = np.random.default_rng(0).integers(0, 60, (n, 8, 8, 3))
    labels = np.arange(n) % 2
    return diptych.Images.from_arrays(
        (noise + 190 * labels[:, None, None, None]).astype(np.uint8), labels, classes=names
    )


@pytest.fixture(scope="module")
def models() -> tuple[diptych.Recognizer, diptych.VAE]:
    recognizer = diptych.Recognizer("convnet", epochs=15, batch=16).fit(_pictures(80, ("dark", "bright")))
    # The classes in another order, so that matching by position would predict every picture wrongly.
    mirrored = _pictures(200, ("dark", "bright")).relabel(("bright", "dark"))
    return recognizer, diptych.VAE(epochs=12, batch=16).fit(mirrored)


def test_classes_are_matched_by_name_and_counted(models: tuple[diptych.Recognizer, diptych.VAE]) -> None:
    recognizer, vae = models
    result = agreement(vae, recognizer, per_class=20, seed=3)
    assert result.total.value > 0.8
    assert result.total.n == 40
    assert result.per_class.keys() == {"dark", "bright"}
    hits = sum(score.value * score.n for score in result.per_class.values())
    assert result.total.value == pytest.approx(hits / 40)
    assert (result.total.low, result.total.high) == wilson_interval(round(hits), 40)
    assert len(result.images) == 40
    predicted = np.asarray(recognizer.predict(result.images).names)
    targets = np.asarray(result.images.classes)[result.images.labels]
    assert (predicted == targets).mean() == pytest.approx(result.total.value)


def test_the_same_seed_gives_the_same_agreement(models: tuple[diptych.Recognizer, diptych.VAE]) -> None:
    recognizer, vae = models
    assert (
        agreement(vae, recognizer, per_class=5, seed=1).per_class
        == agreement(vae, recognizer, per_class=5, seed=1).per_class
    )


def test_agreement_of_models_with_other_classes_is_refused(models: tuple[diptych.Recognizer, diptych.VAE]) -> None:
    other = diptych.VAE(epochs=1, batch=16).fit(_pictures(40, ("day", "night")))
    with pytest.raises(UsageError, match="cannot be measured: the recognizer does not know day, night"):
        agreement(other, models[0])


def test_load_returns_a_model_of_the_saved_kind(models: tuple[diptych.Recognizer, diptych.VAE], tmp_path: Path) -> None:
    recognizer, vae = models
    images = _pictures(10, ("dark", "bright"))
    loaded = diptych.load(recognizer.save(tmp_path / "recognizer"))
    assert isinstance(loaded, diptych.Recognizer)
    assert (loaded.predict(images).probabilities == recognizer.predict(images).probabilities).all()
    synthesizer = diptych.load(vae.save(tmp_path / "vae"))
    assert isinstance(synthesizer, diptych.VAE)
    assert (synthesizer.sample(3).pixels(8) == vae.sample(3).pixels(8)).all()


def test_load_refuses_an_unknown_kind(models: tuple[diptych.Recognizer, diptych.VAE], tmp_path: Path) -> None:
    folder = models[0].save(tmp_path / "m")
    facts = folder / "model.json"
    facts.write_text(facts.read_text().replace('"kind": "recognizer"', '"kind": "oracle"'))
    with pytest.raises(ArtefactError, match="holds a oracle"):
        diptych.load(folder)


def test_swapped_models_are_a_sentence(models: tuple[diptych.Recognizer, diptych.VAE]) -> None:
    recognizer, vae = models
    with pytest.raises(UsageError, match="a synthesizer, named first, with a recognizer"):
        agreement(recognizer, vae)  # type: ignore[arg-type]
