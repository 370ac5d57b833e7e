"""A small recognizer whose network embeds, and pictures of digits as files."""

from pathlib import Path

import numpy as np
import pytest

from diptych import Images, Recognizer


def digits_of(numbers: tuple[int, ...], count: int, start: int = 0) -> Images:
    """``count`` pictures of each of these digits, from the ``start``-th on."""
    every = Images.open("digits")
    rows = [np.flatnonzero(every.labels == number)[start : start + count] for number in numbers]
    return every[np.concatenate(rows)]


@pytest.fixture(scope="session")
def embedding_recognizer() -> Recognizer:
    """It knows the digits 0 to 4, and none of those that the galleries have."""
    return Recognizer("convnet", epochs=6, batch=16).fit(digits_of((0, 1, 2, 3, 4), 60))


@pytest.fixture(scope="session")
def digit_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 pictures of each of the digits 5, 6 and 7, in folders."""
    return digits_of((5, 6, 7), 20).save(tmp_path_factory.mktemp("digits") / "photos")
