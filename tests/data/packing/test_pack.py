"""``pack``: files as they are, the same shards whatever the workers and after a kill; bad pictures named."""

import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diptych import Images
from diptych.data.packing import pack as packing
from diptych.errors import DataError, UsageError

CLASSES = ("cat", "dog")


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for name in CLASSES:
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(9):
            path = tmp_path / "photos" / name / f"{i}.{'jpg' if i % 2 else 'png'}"
            Image.fromarray(rng.integers(0, 255, (8, 8, 3), np.uint8)).save(path)
    return tmp_path / "photos"


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(packing, "SHARD_PICTURES", 5)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("kind", ["tar", "parquet"])
def test_files_labels_and_names_are_as_they_were_whatever_the_number_of_workers(folder, tmp_path, kind):
    images = Images.open(folder)
    for workers in (1, 3):
        packing.pack(images, tmp_path / f"by-{workers}", kind=kind, workers=workers)
    assert contents(tmp_path / "by-1") == contents(tmp_path / "by-3")
    packed = Images.open(tmp_path / "by-3")
    assert packed.classes == CLASSES
    for row, path in enumerate(packed.paths.tolist()):
        original = folder / path.split("#", 1)[1]
        assert packed.store.file(row) == original.read_bytes()
        assert packed.classes[packed.labels[row]] == original.parent.name
    assert len({path.split("#", 1)[1] for path in packed.paths.tolist()}) == len(images)


def test_the_tar_is_an_ordinary_one(folder, tmp_path):
    packing.pack(Images.open(folder), tmp_path / "shards")
    with tarfile.open(tmp_path / "shards" / "shard-00000.tar") as archive:
        keys = [name.split(".")[0] for name in archive.getnames()]
        label = archive.extractfile("000000000.cls").read()
    assert keys == [f"{i:09}" for i in range(5) for _ in range(2)]
    assert label.decode() == str(Images.open(tmp_path / "shards").labels[0])


def test_columns_several_labels_and_origins_are_kept(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (6, 8, 8, 3), np.uint8)
    labels = np.array([[1, 0], [0, 1], [1, 1], [0, 0], [1, 0], [0, 1]])
    groups = {"site": np.array(list("aabbcc")), "age": np.arange(6)}
    origins = ["real", "synthetic", "real", "composite", "real", "real"]
    images = Images.from_arrays(pixels, labels, classes=CLASSES, groups=groups, origins=origins)
    for kind in ("tar", "parquet"):
        packing.pack(images, tmp_path / kind, kind=kind)
        packed = Images.open(tmp_path / kind)
        order = [int(path.rsplit("#", 1)[1]) for path in packed.paths.tolist()]
        assert (packed.labels == images.labels[order]).all()
        assert packed.multi_label
        assert (packed.origins == images.origins[order]).all()
        assert {name: column.tolist() for name, column in packed.groups.items()} == {
            name: column[order].tolist() for name, column in groups.items()
        }
        assert all((packed.picture(row) == pixels[old]).all() for row, old in enumerate(order))


def test_a_file_that_cannot_be_read_is_named_and_left_out(folder, tmp_path):
    (folder / "cat" / "gone.png").symlink_to("nowhere.png")
    command = [sys.executable, "-m", "diptych", "pack", str(folder), "-o", str(tmp_path / "shards")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert "gone.png" in done.stderr
    assert len(Images.open(tmp_path / "shards")) == 18


def test_files_that_are_no_whole_pictures_are_named_and_left_out(folder, tmp_path):
    whole = (folder / "cat" / "1.jpg").read_bytes()
    bad = {"empty.jpg": b"", "page.jpg": b"<html></html>", "cut.jpg": whole[:-40], "cut.png": b"\x89PNG\r\n\x1a\n"}
    for name, content in bad.items():
        (folder / "dog" / name).write_bytes(content)
    packed = packing.pack(Images.open(folder), tmp_path / "shards")
    assert packed.pictures == 18
    assert all(any(name in reason for reason in packed.skipped) for name in bad)
    assert len(packed.skipped) == len(bad)


def test_a_changed_column_is_another_set(folder, tmp_path):
    images = Images.open(folder)
    cameras = np.array(["a", "b"] * 9)
    first = Images.from_arrays(images.pixels(8).permute(0, 2, 3, 1).numpy(), images.labels, groups={"camera": cameras})
    other = Images.from_arrays(
        images.pixels(8).permute(0, 2, 3, 1).numpy(), images.labels, groups={"camera": cameras[::-1]}
    )
    packing.pack(first, tmp_path / "shards")
    with pytest.raises(UsageError, match="holds other packed pictures"):
        packing.pack(other, tmp_path / "shards")
    (tmp_path / "shards").rename(tmp_path / ".other.packing")  # one that was killed at its very end
    (tmp_path / ".other.packing" / "pack.json").unlink()
    packing.pack(other, tmp_path / "other")
    columns = Images.open(tmp_path / "other").groups["camera"]
    order = [int(path.rsplit("#", 1)[1]) for path in Images.open(tmp_path / "other").paths.tolist()]
    assert columns.tolist() == cameras[::-1][order].tolist()


def test_hidden_files_are_kept_and_what_a_system_leaves_does_not_matter(folder, tmp_path):
    images = Images.open(folder)
    (tmp_path / "project" / ".git").mkdir(parents=True)
    (tmp_path / "project" / ".env").write_text("secret")
    with pytest.raises(UsageError, match=r"holds other files \(\.env, \.git\)\. Name a new folder"):
        packing.pack(images, tmp_path / "project")
    assert (tmp_path / "project" / ".env").read_text() == "secret"
    (tmp_path / "seen").mkdir()
    (tmp_path / "seen" / ".DS_Store").write_bytes(b"\0")
    assert packing.pack(images, tmp_path / "seen").pictures == 18


def test_a_link_to_a_folder_stays_one_and_the_current_folder_is_refused(folder, tmp_path, monkeypatch):
    images = Images.open(folder)
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    packing.pack(images, tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert len(Images.open(tmp_path / "disk")) == 18
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(UsageError, match=r"is the current folder\. Name a new folder in it: -o .*here/shards"):
        packing.pack(images, Path())
    with pytest.raises(UsageError, match="s3://… is a place on a network"):
        packing.pack(images, Path("s3://bucket/shards"))


def test_line_breaks_in_a_class_are_no_further_classes(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (6, 8, 8, 3), np.uint8)
    packing.pack(Images.from_arrays(pixels, ["a\nb", "c"] * 3), tmp_path / "shards")
    assert (tmp_path / "shards" / "classes.txt").read_text() == "a b\nc\n"
    assert Images.open(tmp_path / "shards").classes == ("a\nb", "c")


def test_shards_of_another_set_are_told_and_shards_without_their_record_are_refused(folder, tmp_path, caplog):
    images = Images.open(folder)
    packing.pack(images, tmp_path / "large")
    packing.pack(images[:5], tmp_path / "small")
    for path in (tmp_path / "small").iterdir():
        (tmp_path / "large" / path.name).write_bytes(path.read_bytes())
    assert len(Images.open(tmp_path / "large")) == 5
    assert "6 files are not used, since pack.json does not name them: shard-00001.index" in caplog.text
    (tmp_path / "small" / "pack.json").unlink()
    with pytest.raises(DataError, match=r"pack\.json is missing"):
        Images.open(tmp_path / "small")


def test_killed_at_any_shard_the_same_command_ends_with_the_same_bytes(tmp_path):
    program = (
        "import os, sys, threading, time\nfrom pathlib import Path\nfrom diptych import Images\n"
        "from diptych.data.packing import pack as p\np.SHARD_PICTURES = 100\n"
        "out, kill_after = Path(sys.argv[1]), int(sys.argv[2])\n"
        "parts = f'.{out.name}.packing/.part-*'\n"
        "def watch():\n    while len(list(out.parent.glob(parts))) < kill_after: time.sleep(.002)\n"
        "    os.kill(os.getpid(), 9)\n"
        "if kill_after: threading.Thread(target=watch, daemon=True).start()\n"
        "p.pack(Images.open('digits'), out)\n"
    )
    codes = []
    for name, kills in (("calm", []), ("killed", [2, 9])):
        for kill_after in (*kills, 0):
            command = [sys.executable, "-c", program, str(tmp_path / name), str(kill_after)]
            codes.append(subprocess.run(command, capture_output=True, check=False).returncode)
    assert codes == [0, -signal.SIGKILL, -signal.SIGKILL, 0]
    assert contents(tmp_path / "calm") == contents(tmp_path / "killed")


def test_a_folder_of_something_else_is_refused_and_one_of_the_same_is_done(folder, tmp_path):
    images = Images.open(folder)
    first = packing.pack(images, tmp_path / "shards")
    before = (tmp_path / "shards" / "pack.json").stat().st_mtime_ns
    assert packing.pack(images, tmp_path / "shards") == first
    assert (tmp_path / "shards" / "pack.json").stat().st_mtime_ns == before
    with pytest.raises(UsageError, match="holds other packed pictures"):
        packing.pack(images[:3], tmp_path / "shards")
    with pytest.raises(UsageError, match="holds other files"):
        packing.pack(images, folder)
