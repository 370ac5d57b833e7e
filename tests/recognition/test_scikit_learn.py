"""A recognizer is a classifier of scikit-learn: cloned, cross-validated, and the end of a pipeline."""

from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.base import clone, is_classifier
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import Pipeline

from diptych.data.images import Images
from diptych.recognition.recognizer import Recognizer

PIXELS = np.concatenate([np.full((16, 8, 8, 3), level, np.uint8) for level in (40, 200)])
PIXELS = (PIXELS + np.random.default_rng(0).integers(0, 40, PIXELS.shape)).astype(np.uint8)
NAMES = ["dark"] * 16 + ["bright"] * 16


def test_a_pipeline_and_a_clone() -> None:
    recognizer = Recognizer("convnet", epochs=2, seed=3)
    pipeline = Pipeline([("recognizer", clone(recognizer))]).set_params(recognizer__epochs=1).fit(PIXELS, NAMES)
    assert pipeline.predict(PIXELS[:3]).names == ["dark"] * 3
    assert pipeline.score(PIXELS, NAMES) > 0.9
    copy = clone(pipeline["recognizer"])
    assert copy.get_params() == {**recognizer.get_params(), "epochs": 1}
    assert not hasattr(copy, "network_")
    assert is_classifier(copy)


def test_cross_validation_of_paths_and_of_images(tmp_path: Path) -> None:
    paths = [str(tmp_path / f"{i}.png") for i in range(len(PIXELS))]
    for path, pixels in zip(paths, PIXELS, strict=True):
        Image.fromarray(pixels).save(path)
    images = Images.of(PIXELS, NAMES)
    recognizer = Recognizer("convnet", epochs=1, seed=3)
    of_paths = cross_val_score(recognizer, paths, NAMES, cv=2)
    assert len(of_paths) == 2
    assert of_paths.min() > 0.9
    assert np.array_equal(cross_val_score(recognizer, images, images.labels, cv=2), of_paths)
