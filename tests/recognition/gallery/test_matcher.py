"""The matcher gives the gallery's matches from the same vectors, adapted or not, and sees what is enrolled."""

from pathlib import Path

import numpy as np
import pytest

from diptych.data.images import Images
from diptych.errors import ArtefactError, UsageError
from diptych.recognition.gallery.gallery import Gallery
from diptych.recognition.gallery.matcher import Matcher
from diptych.recognition.recognizer import Recognizer


@pytest.fixture(scope="module")
def colours() -> Images:
    """(48, 16, 16, 3) noisy pictures, 12 of each of four colours, in turns."""
    noise = np.random.default_rng(0).integers(0, 120, (48, 16, 16, 3)).astype(np.uint8)
    names = ["red", "green", "blue", "grey"] * 12
    for row, name in enumerate(names):
        noise[row, ..., ["red", "green", "blue"].index(name) if name != "grey" else slice(None)] += 100
    return Images.from_arrays(noise, names)


@pytest.fixture(scope="module")
def recognizer(colours: Images) -> Recognizer:
    return Recognizer("convnet", epochs=1).fit(colours)


def check_equal(gallery: Gallery, matcher: Matcher, images: Images) -> None:
    vectors = np.concatenate([batch.numpy() for batch in gallery.embedder.batches(images)])
    for ours, theirs in zip(matcher.match(images, vectors, k=5), gallery.match(images, k=5), strict=True):
        assert (ours.name, ours.unknown) == (theirs.name, theirs.unknown)
        assert [near.id for near in ours.nearest] == [near.id for near in theirs.nearest]
        assert ours.distance == pytest.approx(theirs.distance, abs=1e-5)


def test_its_matches_are_those_of_the_gallery(recognizer: Recognizer, colours: Images, tmp_path: Path) -> None:
    gallery = Gallery(recognizer, tmp_path / "things").enroll(colours[:32])
    matcher = Matcher(tmp_path / "things", gallery.embedder.sha256, gallery.embedder.dimensions)
    check_equal(gallery, matcher, colours[32:])
    gallery.enroll(colours[32:44], adapt=True)
    check_equal(gallery, matcher, colours[44:])
    with pytest.raises(UsageError, match="k must be"):
        matcher.match(colours[:1], np.zeros((1, gallery.embedder.dimensions), np.float32), k=0)


def test_vectors_of_another_network_are_refused(recognizer: Recognizer, tmp_path: Path) -> None:
    Gallery(recognizer, tmp_path / "things")
    with pytest.raises(ArtefactError, match="another network"):
        Matcher(tmp_path / "things", "0" * 64, 3)
