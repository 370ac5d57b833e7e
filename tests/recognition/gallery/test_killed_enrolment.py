"""A process that enrolls is killed at any moment, while another reads: no acknowledged picture is lost."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from diptych import Gallery, Recognizer, load
from diptych.errors import ArtefactError
from tests.recognition.gallery.conftest import digits_of

ENROLL = """
import sys
import numpy as np
from diptych import Images, load
gallery = load(sys.argv[1])
draw = np.random.default_rng(int(sys.argv[2]))
for number in range(1000):
    pixels = draw.integers(0, 255, (4, 8, 8, 3)).astype(np.uint8)
    gallery.enroll(Images.from_arrays(pixels, ["noise"] * 4))
    print(gallery.enrolment_.added, flush=True)
"""


def kill_while_enrolling(folder: Path, seed: int, batches: int) -> int:
    """Kill an enrolling process after so many batches; returns how many pictures it has acknowledged."""
    command = [sys.executable, "-c", ENROLL, str(folder), str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        acknowledged = sum(int(process.stdout.readline()) for _ in range(batches))
        process.send_signal(signal.SIGKILL)
        return acknowledged + sum(int(line) for line in process.stdout if line.endswith("\n"))


def test_a_killed_enrolment_has_kept_what_it_acknowledged(embedding_recognizer: Recognizer, tmp_path: Path) -> None:
    check_kill(embedding_recognizer, tmp_path, batches=3)


def test_a_table_that_a_kill_left_without_a_version_is_made_again(
    embedding_recognizer: Recognizer, tmp_path: Path
) -> None:
    gallery = Gallery(embedding_recognizer, tmp_path / "gallery")
    assert len(gallery) == 0
    for version in (tmp_path / "gallery").glob("database/*.lance/_versions/*"):
        version.unlink()
    again = load(tmp_path / "gallery")
    again.enroll(digits_of((0,), 4))
    assert len(again) == 4


def test_a_table_with_rows_and_without_a_version_is_damaged_and_stays(
    embedding_recognizer: Recognizer, tmp_path: Path
) -> None:
    Gallery(embedding_recognizer, tmp_path / "gallery").enroll(digits_of((0,), 4))
    for version in (tmp_path / "gallery").glob("database/*.lance/_versions/*"):
        version.unlink()
    with pytest.raises(ArtefactError, match="cannot be opened"):
        load(tmp_path / "gallery")
    assert list((tmp_path / "gallery").glob("database/*.lance/data/*"))


def check_kill(embedding_recognizer: Recognizer, tmp_path: Path, batches: int) -> None:
    folder = tmp_path / "gallery"
    reader = Gallery(embedding_recognizer, folder).enroll(digits_of((5, 6), 10))
    acknowledged = kill_while_enrolling(folder, seed=batches, batches=batches)
    assert acknowledged >= 4 * batches
    survivor = load(folder)
    assert len(survivor) >= 20 + acknowledged
    assert len(survivor) == len(reader) == sum(survivor.labels.values())
    assert reader.match(digits_of((5,), 1)).names == survivor.match(digits_of((5,), 1)).names == ["5"]
    survivor.enroll(digits_of((7,), 5))
    assert np.isfinite(survivor.match(digits_of((7,), 2)).distances).all()
