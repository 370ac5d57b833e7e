"""Samples written to disk: whatever interrupts it, the same command ends with the same files."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import diptych
from diptych.cli.app import run
from diptych.data.images import Images
from diptych.errors import UsageError
from diptych.synthesis.sampling import writer
from tests.marked import unsigned

PEAK = """
import resource, sys
import diptych
from diptych.cli.app import run
from diptych.data.images import Images
model = diptych.load(sys.argv[1])
for n in map(int, sys.argv[2:]):
    model.sample(n, into=f"{sys.argv[1]}-{n}")
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def _pictures(n: int) -> Images:
    """Red and blue noise."""
    labels = np.arange(n) % 2
    pixels = np.random.default_rng(0).integers(0, 100, (n, 32, 32, 3), np.uint8)
    pixels[np.arange(n), :, :, labels * 2] += 120
    return Images.from_arrays(pixels, labels, classes=("red", "blue"))


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> diptych.VAE:
    folder = tmp_path_factory.mktemp("fitted") / "vae"
    return diptych.VAE(epochs=1, batch=8, latent=4).fit(_pictures(16), into=folder)


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory) -> Path:
    return model.save(tmp_path_factory.mktemp("saved") / "vae")


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): unsigned(path) for path in folder.rglob("*") if path.is_file()}


def arrays(images: Images) -> np.ndarray:
    return images.pixels(32).numpy()


def test_the_files_hold_the_pictures_that_sample_returns(model, tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "BLOCK", 7)
    in_memory = model.sample(30, seed=2)
    written = model.sample(30, seed=2, into=tmp_path / "out")
    assert np.array_equal(arrays(written), arrays(in_memory))
    assert [written.classes[k] for k in written.labels] == [in_memory.classes[k] for k in in_memory.labels]
    assert set(written.origins) == {"synthetic"}
    again = Images.open(tmp_path / "out")
    assert len(again) == 30  # and not the sheet
    assert set(again.origins) == {"synthetic"}


def test_batches_give_the_pictures_of_sample_in_order(model, monkeypatch):
    monkeypatch.setattr(writer, "BLOCK", 8)
    blocks = list(model.sample_batches(20, seed=3))
    assert [len(block) for block in blocks] == [8, 8, 4]
    assert np.array_equal(np.concatenate([arrays(block) for block in blocks]), arrays(model.sample(20, seed=3)))


def test_a_killed_process_run_again_leaves_the_files_of_one_that_was_not(saved, tmp_path, capsys):
    command = ["sample", str(saved), "-n", "300", "-o"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert run([*command, str(whole)]) == 0
    words = [sys.executable, "-m", "diptych", *command, str(killed)]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while len(list(killed.rglob("0*.png"))) < 60:
            assert process.poll() is None
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    before = {path: path.stat().st_mtime_ns for path in killed.rglob("0*.png")}
    assert len(before) < 300
    torn = sorted(before)[5]
    torn.write_bytes(torn.read_bytes()[:-9])  # as after a power cut
    capsys.readouterr()
    assert run([*command, str(killed)]) == 0
    assert "of the 300 pictures were there already" in capsys.readouterr().err
    assert files(killed) == files(whole)
    assert all(path.stat().st_mtime_ns == moment for path, moment in before.items() if path != torn)


def test_the_first_pictures_of_millions_appear_within_seconds(saved, tmp_path):
    out = tmp_path / "out"
    command = [sys.executable, "-m", "diptych", "sample", str(saved), "-n", "3000000", "-o", str(out)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        start = time.monotonic()
        while len(list(out.rglob("0*.png"))) < 100:
            assert process.poll() is None
            assert time.monotonic() - start < 60  # most of it is torch's import
            time.sleep(0.05)
        process.terminate()
        notes = process.communicate(timeout=30)[1]
    assert process.returncode == 128 + signal.SIGTERM, notes
    pictures = {path.relative_to(out).as_posix() for path in out.rglob("0*.png")}
    rows = (out / "metadata.csv").read_text().splitlines()
    marked = {row.split(",")[0] for row in rows if row.endswith(",synthetic")}
    assert pictures <= marked
    assert len(marked) < 100_000


def test_a_block_is_one_batch_at_first_and_then_what_takes_some_seconds(monkeypatch):
    monkeypatch.setattr(writer, "BLOCK_SECONDS", 0.2)
    pace = writer.Pace(4)
    assert pace.block == 4
    with pace.timing(4):
        time.sleep(0.01)
    assert 20 <= pace.block <= 80
    with pace.timing(4):
        pass
    assert pace.block == writer.BLOCK
    with pace.timing(4):
        time.sleep(0.25)
    assert pace.block == 4


@pytest.mark.parametrize("damage", ["torn", "emptied", "sorted"])
def test_a_damaged_table_is_written_again(model, tmp_path, damage):
    out = tmp_path / "out"
    model.sample(9, into=out)
    table = (out / "metadata.csv").read_bytes()
    lines = table.splitlines(keepends=True)
    damaged = {"torn": table[:-7], "emptied": b"", "sorted": b"".join([lines[0], *lines[:0:-1]])}
    (out / "metadata.csv").write_bytes(damaged[damage])
    model.sample(9, into=out)
    assert (out / "metadata.csv").read_bytes() == table


def test_memory_does_not_grow_with_their_number(saved):
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(saved), "300", "1500"], check=True, capture_output=True, text=True, timeout=120
    )
    peak, later_peak = map(int, done.stdout.split())
    assert later_peak - peak < 1500 * 3 * 32 * 32  # bytes that the pictures take


def test_a_folder_belongs_to_one_request(model, tmp_path):
    out = tmp_path / "out"
    model.sample(3, into=out)
    with pytest.raises(UsageError, match="seed 0 there, 1 here"):
        model.sample(3, seed=1, into=out)
    with pytest.raises(UsageError, match="label None there, blue here"):
        model.sample(3, label="blue", into=out)
    with pytest.raises(UsageError, match="another model"):
        diptych.VAE(epochs=1, batch=8, latent=4, seed=1).fit(_pictures(16)).sample(3, into=out)
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="a new or an empty folder"):
        model.sample(3, into=full)


def test_a_larger_number_adds_pictures_and_a_smaller_one_changes_nothing(model, tmp_path):
    out = tmp_path / "out"
    model.sample(4, into=out)
    first = {name for name in files(out).items() if "/" in name[0]}
    assert len(first) == 4
    assert len(model.sample(9, into=out)) == 9
    written = files(out)
    assert first < written.items()
    assert len(model.sample(2, into=out)) == 2
    assert files(out) == written
    assert json.loads((out / "sample.json").read_text())["number"] == 9


def test_a_stopped_request_for_many_does_not_bind_one_for_fewer(model, tmp_path):
    out = tmp_path / "out"
    model.sample(3, into=out)
    record = out / "sample.json"
    record.write_text(record.read_text().replace('"number": 3', '"number": 1000000'))
    assert len(model.sample(5, into=out)) == 5
    assert len(list(out.rglob("0*.png"))) == 5


def test_other_pictures_in_its_folder_are_refused_by_name(model, tmp_path):
    out = tmp_path / "out"
    model.sample(3, into=out)
    for name in ("20240131.png", "000001.png", "blue/000700.png", "notes.txt"):
        (out / name).write_bytes(b"mine")
        with pytest.raises(UsageError, match=name):
            model.sample(5, into=out)
        assert (out / name).read_bytes() == b"mine"
        (out / name).unlink()
    assert len(model.sample(5, into=out)) == 5


@pytest.mark.parametrize("record", ["{", "[]", '{"tool": "mine"}'])
def test_a_record_of_something_else_is_refused(model, tmp_path, record):
    (tmp_path / "sample.json").write_text(record)
    with pytest.raises(UsageError, match="not what diptych sample writes"):
        model.sample(3, into=tmp_path)
    assert (tmp_path / "sample.json").read_text() == record


@pytest.mark.parametrize("name", ["samples.parquet", "samples.npz"])
def test_a_single_file_holds_them_too(model, tmp_path, name):
    written = model.sample(5, into=tmp_path / name)
    assert np.array_equal(arrays(written), arrays(model.sample(5)))
    assert set(written.origins) == {"synthetic"}
    assert {path.name for path in tmp_path.iterdir()} == {name, "samples.grid.png"}
