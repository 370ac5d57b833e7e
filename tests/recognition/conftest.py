"""Fixtures that the tests of recognition share."""

import numpy as np
import pytest
from PIL import Image

from diptych.data.images import Images
from diptych.recognition.confidence.calibrate import fit_decision_rule
from diptych.recognition.confidence.decision import DecisionRule
from diptych.recognition.inference.embeddings import EmbeddingIndex
from diptych.recognition.inference.named_pictures import NamedPictures
from tests.recognition.overconfident import overconfident_outputs


@pytest.fixture(scope="session")
def digits() -> Images:
    """Four digits, 40 of each."""
    all_digits = Images.open("digits")
    rows = np.concatenate([np.flatnonzero(all_digits.labels == k)[:40] for k in range(4)])
    return all_digits[rows]


@pytest.fixture
def folder_with_a_broken_picture(tmp_path):
    """Six pictures of each of two classes, and one truncated file."""
    draw = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for i in range(6):
            Image.fromarray(draw.integers(0, 256, (12, 12, 3)).astype(np.uint8)).save(tmp_path / name / f"{i}.png")
    encoded = (tmp_path / "cat" / "0.png").read_bytes()
    (tmp_path / "cat" / "broken.png").write_bytes(encoded[: len(encoded) // 2])
    return tmp_path


@pytest.fixture(scope="session")
def overconfident_index() -> EmbeddingIndex:
    """The embedding index of an overconfident network, for 300 training pictures."""
    outputs, images = overconfident_outputs(300, seed=9)
    return EmbeddingIndex.of(outputs.features, outputs.slopes, images.labels, NamedPictures.of(images))


@pytest.fixture(scope="session")
def overconfident_rule(overconfident_index: EmbeddingIndex) -> DecisionRule:
    """The decision rule of a network that is three times too confident, calibrated on 400 pictures."""
    return fit_decision_rule(*overconfident_outputs(400, sharpness=3.0), overconfident_index)
