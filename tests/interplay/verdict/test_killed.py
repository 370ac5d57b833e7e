"""A verdict that is killed continues and answers as an uninterrupted one; its folder takes no other."""

import dataclasses
import json
import signal
import subprocess
import sys
import time

import pytest

from diptych.errors import UsageError
from diptych.marks import carries_mark
from tests.interplay.verdict import judging
from tests.marked import pictures_in, unsigned

PATIENCE = 300.0  # seconds, for a machine with much else to do
STAGE = "run-*-synthetic-1-*.safetensors"  # half of the trainings are done; for other moments see tests/soak


def start(folder):
    return subprocess.Popen([sys.executable, judging.__file__, str(folder)])


def kill_once_there_is(pattern, folder):
    """Run the verdict and kill it as soon as it has written such a file; whether it was killed."""
    process, until = start(folder), time.monotonic() + PATIENCE
    while not any((folder / "progress").glob(pattern)) and process.poll() is None:
        assert time.monotonic() < until
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    judging.judge(folder)
    return folder


def test_killed_it_answers_as_if_it_had_not_been(whole, tmp_path):
    assert kill_once_there_is(STAGE, tmp_path)
    assert not (tmp_path / "verdict.json").exists()
    judging.judge(tmp_path)
    shown = list(map(carries_mark, pictures_in((whole / "report.html").read_bytes())))
    assert shown[0]
    assert shown.count(False) == 1  # the sheet of real pictures
    for name in ("verdict.json", "report.html"):
        assert unsigned(tmp_path / name) == unsigned(whole / name)


def test_asked_again_a_finished_verdict_trains_nothing(whole):
    before = (whole / "verdict.json").read_bytes()
    (whole / "verdict.json").unlink()
    stamps = {path: path.stat().st_mtime_ns for path in (whole / "progress").iterdir()}
    judging.judge(whole)
    assert (whole / "verdict.json").read_bytes() == before
    assert {path: path.stat().st_mtime_ns for path in (whole / "progress").iterdir()} == stamps


def test_another_verdict_in_the_folder_is_refused_with_what_differs(whole):
    plan = dataclasses.replace(judging.PLAN, seed=1, seeds=6)
    with pytest.raises(UsageError, match=r"holds another verdict: seeds, seed differ.*Name another folder"):
        judging.judge(whole, plan)


def test_a_folder_with_another_report_is_refused(tmp_path):
    (tmp_path / "report.html").write_text("of a model")
    with pytest.raises(UsageError, match=r"holds the report of something else\. Name a new folder"):
        judging.judge(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_the_files_of_a_finished_verdict_name_every_arm(whole):
    found = json.loads((whole / "verdict.json").read_text())
    arms = ["baseline", "oversampled", "strong", "synthetic-0.5", "synthetic-1", "synthetic-3", "filtered", "refitted"]
    assert list(found["arms"]) == arms
    for arm in found["arms"].values():
        assert arm["gain"]["low"] <= arm["gain"]["value"] <= arm["gain"]["high"]
    assert found["recommended"] == (found["verdict"] == "recommended")
