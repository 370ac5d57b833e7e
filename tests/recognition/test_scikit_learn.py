"""A recognizer is a classifier of scikit-learn: cloned, cross-validated, searched, and the end of a pipeline."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone, is_classifier
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline

from diptych.data.images import Images
from diptych.recognition.recognizer import Recognizer

PIXELS = np.concatenate([np.full((16, 8, 8, 3), level, np.uint8) for level in (40, 200)])
PIXELS = (PIXELS + np.random.default_rng(0).integers(0, 40, PIXELS.shape)).astype(np.uint8)
NAMES = ["dark"] * 16 + ["bright"] * 16


@pytest.fixture(scope="module")
def small() -> Recognizer:
    return Recognizer("convnet", epochs=2, seed=3)


def test_a_clone_has_the_same_settings_and_is_not_fitted(small: Recognizer) -> None:
    fitted = clone(small).fit(PIXELS, NAMES)
    copy = clone(fitted)
    assert copy.get_params() == small.get_params()
    assert not hasattr(copy, "network_")
    assert is_classifier(copy)
    assert copy.set_params(epochs=1).epochs == 1


def test_cross_validation_of_arrays_paths_and_images(small: Recognizer, tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.png" for i in range(len(PIXELS))]
    for path, pixels in zip(paths, PIXELS, strict=True):
        Image.fromarray(pixels).save(path)
    images = Images.of(PIXELS, NAMES)
    forms = [(PIXELS, NAMES), ([str(path) for path in paths], NAMES), (images, images.labels)]
    scores = [cross_val_score(small, pictures, labels, cv=2) for pictures, labels in forms]
    assert np.array_equal(scores[0], scores[1])
    assert all(len(score) == 2 and score.min() > 0.9 for score in scores)


def test_the_end_of_a_pipeline_is_searched(small: Recognizer) -> None:
    pipeline = Pipeline([("recognizer", small)])
    search = GridSearchCV(pipeline, {"recognizer__epochs": [1, 2]}, cv=2).fit(PIXELS, NAMES)
    assert search.best_params_["recognizer__epochs"] in (1, 2)
    assert search.predict(PIXELS[:3]).names == ["dark"] * 3
    assert search.score(PIXELS, NAMES) > 0.9
