"""Twenty kills of processes that enroll: nothing that they acknowledged is lost."""

from pathlib import Path

import pytest

from diptych import Recognizer
from tests.recognition.gallery.conftest import digits_of
from tests.recognition.gallery.test_killed_enrolment import check_kill

pytestmark = pytest.mark.soak


@pytest.fixture(scope="module")
def embedding_recognizer() -> Recognizer:
    return Recognizer("convnet", epochs=2, batch=16).fit(digits_of((0, 1, 2), 40))


@pytest.mark.parametrize("batches", range(1, 21))
def test_a_kill_loses_nothing(embedding_recognizer: Recognizer, tmp_path: Path, batches: int) -> None:
    check_kill(embedding_recognizer, tmp_path, batches)
