"""A synthesizer that has seen too much is trained again, on what it may see, for as long as it was."""

import json

import numpy as np
import pytest

from diptych.data.duplicates import content_digests
from diptych.data.images import Images
from diptych.errors import UsageError
from diptych.interplay.verdict.source import Refittable, train_again
from diptych.synthesis.vae import VAE


class Fixed:
    """A plug-in without a method fit."""

    classes_ = ("0",)
    training_digests = np.zeros(0, np.uint64)

    def sample(self, n, *, label=None, seed=0):
        raise AssertionError


@pytest.fixture(scope="module")
def vae():
    return VAE(epochs=2, seed=4).fit(Images.open("digits")[:60])


def test_with_the_same_settings_it_shows_as_many_pictures_of_the_training_part_alone(vae, tmp_path):
    training = Images.open("digits")[20:60]
    again, note = train_again(vae, training, tmp_path, None)
    assert again.seed == 4
    assert set(again.training_digests.tolist()) == set(content_digests(training).tolist())
    shown, _ = vae.training_effort
    assert again.training_effort[0] == pytest.approx(shown, abs=64)
    assert note == "A vae of the same settings was trained again on the 40 training pictures, as long as it was."
    assert (
        json.loads((tmp_path / "model.json").read_text())["parameters"]["minutes"] is None
    )  # so a kill changes nothing


def test_a_shorter_time_is_a_smaller_share_of_the_pictures(vae, tmp_path):
    shown, seconds = vae.training_effort
    again, note = train_again(vae, Images.open("digits")[:40], tmp_path, minutes=seconds / 60 / 2)
    assert again.training_effort[0] == pytest.approx(shown / 2, abs=64)
    assert "50% as long as it was" in note


def test_a_plug_in_that_cannot_be_trained_again_is_refused(tmp_path):
    assert not isinstance(Fixed(), Refittable)
    with pytest.raises(UsageError, match=r"has no method fit.*Give PICTURES that it has not seen"):
        train_again(Fixed(), Images.open("digits")[:60], tmp_path, None)
