"""Damaged records: of runs, checkpoints, verdicts, samples, edits; each is refused by name, or passed over."""

import hashlib
import json
import os
from pathlib import Path

import pytest
import torch

from diptych import artefact
from diptych.cli.edit_output import OutputFolder
from diptych.engine import checkpoint, history, machine, picture_record
from diptych.engine.history import History
from diptych.engine.loop import Run
from diptych.engine.task import Recipe
from diptych.errors import ArtefactError, DataError, UsageError
from diptych.interplay import balance_folder
from diptych.interplay.verdict.state import State
from tests.engine.tiny import Tiny, images

#: What a file of JSON may hold instead of a record, and a word of what is said of it.
NO_RECORDS = {
    "nothing": (b"", "not valid JSON"),
    "half": (b'{"format": 2, "sett', "not valid JSON"),
    "a list": (b"[1]", "not an object"),
    "a number": (b"7", "not an object"),
    "lists without end": (b"[" * 10**5, "64 levels"),
    "objects without end": (b'{"a":' * 10**5, "64 levels"),
    "a number without end": (b'{"format": 1' + b"0" * 5000 + b"}", "too large"),
    "not a number": (b'{"format": NaN}', "NaN is no number"),
    "a key twice": (b'{"format": 2, "format": 3}', "there twice"),
    "bytes": (b"\xff\xfe\x00", "not UTF-8"),
}
parametrised = pytest.mark.parametrize(("content", "words"), NO_RECORDS.values(), ids=NO_RECORDS)


def _run(folder: Path) -> Run:
    recipe = Recipe(batch=8, seed=0, pictures=16)
    return Run(Tiny(), images(24), size=8, recipe=recipe, folder=folder, settings={"a": 1})


@parametrised
def test_a_damaged_record_of_a_run_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    record = tmp_path / "checkpoint" / "run.json"
    record.parent.mkdir()
    record.write_bytes(content)
    with pytest.raises(DataError, match=words) as caught:
        checkpoint.stored_settings(tmp_path)
    assert str(record) in str(caught.value)
    assert f"Delete {tmp_path}" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [('{"format": "2"}', r'\$\.format is "2", not a whole number'), ('{"format": 2, "settings": []}', r"\$\.settings")],
)
def test_a_record_of_a_run_has_its_types(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "run.json").write_text(content)
    with pytest.raises(DataError, match=words):
        checkpoint.claim(tmp_path, {})


def test_a_pipe_instead_of_a_record_is_no_wait_without_end(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").mkdir()
    os.mkfifo(tmp_path / "checkpoint" / "run.json")
    with pytest.raises(DataError, match="not a file"):
        checkpoint.stored_settings(tmp_path)


@parametrised
def test_a_damaged_record_of_a_verdict_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "progress").mkdir()
    (tmp_path / "progress" / "settings.json").write_bytes(content)
    with pytest.raises(DataError, match=words) as caught:
        State(tmp_path, {"seed": 0})
    assert "settings.json" in str(caught.value)


def test_damaged_tensors_of_a_verdict_are_named(tmp_path: Path) -> None:
    state = State(tmp_path, {"seed": 0})
    state.save("run-1", {"x": torch.ones(2)})
    path = tmp_path / "progress" / "run-1.safetensors"
    for content in (b"", b"\xff" * 9, path.read_bytes()[:-1]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"run-1\.safetensors"):
            state.tensors("run-1")


@pytest.mark.parametrize(
    "content",
    ['{"files": [], "others": 3}', '{"files": [{}], "others": []}', '{"files": [{"path": ".."}], "others": []}', "[]"],
)
def test_a_record_that_no_edit_wrote_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "edit.json").write_text(content)
    with pytest.raises(UsageError, match=r"edit\.json.*not what diptych edit writes"):
        OutputFolder(tmp_path, images(3), visible_label=False)


def test_a_damaged_record_of_a_balanced_set_is_nobodys(tmp_path: Path) -> None:
    for content, _ in NO_RECORDS.values():
        (tmp_path / "balance.json").write_bytes(content)
        with pytest.raises(UsageError, match="holds something else"):
            balance_folder.answer_there(tmp_path, {"seed": 0})


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "not valid JSON"),
        ("3", r"line 2: \$ is 3, not an object"),
        ("{}", "seen_pictures is missing"),
        ('{"seen_pictures": -1}', r"seen_pictures is -1"),
        ('{"seen_pictures": 1, "losses": {"a": "x"}}', r"losses"),
    ],
)
def test_a_damaged_line_of_a_history_is_named(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text(f'{{"seen_pictures": 1}}\n{line}\n')
    with pytest.raises(DataError, match=words) as caught:
        history.read(path)
    assert str(path) in str(caught.value)


def test_what_is_no_number_in_a_history_is_null_and_one_of_before_is_read(tmp_path: Path) -> None:
    written = History(tmp_path)
    written.add({"seen_pictures": 8, "losses": {"a": float("nan")}})
    assert json.loads((tmp_path / "history.jsonl").read_text(), parse_constant=pytest.fail)["losses"] == {"a": None}
    (tmp_path / "history.jsonl").write_text('{"seen_pictures": 8, "losses": {"a": NaN}}\n')
    assert history.read(tmp_path / "history.jsonl")[0]["losses"] == {"a": None}


def test_a_foreign_checkpoint_is_refused_and_one_that_torch_cannot_read_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "run.json").write_text(json.dumps({"format": artefact.FORMAT, "settings": {"a": 1}}))
    for state in ({}, {"modules": 3}, {"modules": {"reader": {}, "painter": {}}}):
        checkpoint.save(tmp_path, state, 8)
        with pytest.raises(ArtefactError, match="not one of this run"):
            _run(tmp_path)
    for content in (b"", b"\x80\x02]q\x00.", b"PK\x03\x04", b"\x80\x04\x95\xff"):
        newest = tmp_path / "checkpoint" / f"{8:012d}"
        (newest / "state.pt").write_bytes(content)
        (newest / "state.sha256").write_text(hashlib.sha256(content).hexdigest())
        assert checkpoint.load(tmp_path) is None
    (tmp_path / "checkpoint" / "latest").write_bytes(b"\xff\xfe")
    assert checkpoint.load(tmp_path) is None


@parametrised
def test_a_damaged_file_that_only_saves_time_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, words: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    device = torch.device("cpu")
    measured = machine.cached_measurement("key", device, lambda: {"rate": 2.0}, {"rate"})
    (cached,) = (tmp_path / "diptych" / "rates").iterdir()
    cached.write_bytes(content)
    assert machine.cached_measurement("key", device, lambda: {"rate": 3.0}, {"rate"}) == {"rate": 3.0} != measured
    (tmp_path / picture_record.FILE).write_bytes(content)
    assert picture_record._read(tmp_path) == {}
