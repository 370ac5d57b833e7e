import shutil
import zipfile
from pathlib import Path

import fsspec
import numpy as np
import pytest

from diptych.data.images import Images
from diptych.data.sources.files import LocalFiles, expand_braces
from diptych.data.sources.packed import block_reader
from diptych.data.sources.urls import explained_store, install_command
from diptych.errors import DataError


@pytest.fixture
def memory(class_folders):
    """The class folders, behind memory://pets."""
    filesystem = fsspec.filesystem("memory")
    for path in class_folders.rglob("*.png"):
        filesystem.pipe(f"/pets/{path.relative_to(class_folders)}", path.read_bytes())
    yield filesystem
    filesystem.rm("/", recursive=True)


def test_a_folder_behind_a_url(memory, class_folders):
    images, local = Images.open("memory://pets"), Images.open(class_folders)
    assert images.counts() == {"cat": 6, "dog": 6}
    assert images.paths[0] == "memory://pets/cat/0.png"
    assert np.array_equal(images.pixels(16), local.pixels(16))
    assert images.fingerprint() == Images.open("memory://pets").fingerprint()  # by sizes: contents are far away


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_a_file_behind_a_url(memory, class_folders, tmp_path, suffix):
    local = Images.open(class_folders)
    saved = local.save(tmp_path / f"a{suffix}")
    memory.pipe(f"/saved/a{suffix}", saved.read_bytes())
    images = Images.open(f"memory://saved/a{suffix}")
    assert images.counts() == {"cat": 6, "dog": 6}
    assert np.array_equal(images.pixels(16), local.pixels(16))
    assert len(Images.open(f"memory://saved/*{suffix}")) == 12


def test_one_picture_behind_a_url(memory, scene):
    images = Images.open("memory://pets/cat/3.png")
    assert np.array_equal(images.picture(0), np.asarray(scene(3)))


def test_a_zip(class_folders, tmp_path):
    packed = shutil.make_archive(str(tmp_path / "pets"), "zip", class_folders)
    for path in (packed, Path(packed), f"zip://::{packed}", f"zip://cat::{packed}"):
        images = Images.open(path)
        assert len(images) == (6 if "cat::" in str(path) else 12)
        assert images.pixels(8).shape[0] == len(images)


@pytest.mark.parametrize("url", ["memory://nothing/here", "nonsense://pets"])
def test_urls_of_nothing_are_refused(url):
    with pytest.raises(DataError, match=r"is not there|cannot be opened"):
        Images.open(url)


def test_braces():
    assert list(expand_braces("a-{008..010}.tar")) == ["a-008.tar", "a-009.tar", "a-010.tar"]
    assert list(expand_braces("{a,b}{1..2}")) == ["a1", "a2", "b1", "b2"]
    assert list(expand_braces("plain{}")) == ["plain{}"]


def test_a_zip_with_a_single_top_folder(class_folders, tmp_path):
    (tmp_path / "outer").mkdir()
    class_folders.rename(tmp_path / "outer" / "pets")
    (tmp_path / "outer" / "__MACOSX" / "pets").mkdir(parents=True)
    (tmp_path / "outer" / "__MACOSX" / "pets" / "._cat").write_bytes(b"\0")
    packed = shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path / "outer")
    assert Images.open(packed).counts() == {"cat": 6, "dog": 6}


def test_a_zip_that_is_damaged_or_truncated(class_folders, tmp_path):
    packed = Path(shutil.make_archive(str(tmp_path / "pets"), "zip", class_folders))
    whole = packed.read_bytes()
    n = len(Images.open(packed))
    with zipfile.ZipFile(packed) as archive:
        first = next(info for info in archive.infolist() if info.filename.endswith(".png"))
    at = first.header_offset + 30 + len(first.filename) + first.compress_size // 2
    packed.write_bytes(whole[:at] + bytes(b ^ 0xFF for b in whole[at : at + 8]) + whole[at + 8 :])
    readable = Images.open(packed).readable(8)
    assert len(readable) == n - 1
    assert first.filename in str(readable.skipped[0])
    packed.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="damaged"):
        Images.open(packed)


@pytest.mark.parametrize(
    "url",
    [
        "reference://plan.json",
        "jupyter://host/x",
        "pets::s3://bucket",
        "simplecache::reference://plan.json",
        "zip://cat::dask://x",
        "s3://bucket::file:///pets.zip",
        "zip://a::tar://b::generic://x",
    ],
)
def test_only_listed_kinds_of_places_are_read(url):
    with pytest.raises(DataError, match="is not a kind of place that pictures are read from"):
        Images.open(url)


def test_names_on_this_machine_are_never_part_of_a_url(class_folders, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    odd = tmp_path / "x::s3"
    (odd / "a::b").mkdir(parents=True)
    class_folders.rename(odd / "a::b" / "pets")
    assert Images.open("x::s3").counts() == {"cat": 6, "dog": 6}
    packed = shutil.make_archive("reference::pets", "zip", odd)
    images = Images.open(Path(packed).name)
    assert images.counts() == {"cat": 6, "dog": 6}
    assert images.paths[0] == "zip://a::b/pets::reference::pets.zip/cat/0.png"
    assert images.pixels(8).shape[0] == 12


class WholeFiles(LocalFiles):
    """A store that sends whole files where parts are asked for, as many a web server does."""

    def read_range(self, name: str, start: int, count: int) -> bytes:
        return Path(self.root, name).read_bytes()


def test_a_server_without_parts_of_files_is_told_from_a_file_that_is_cut(tmp_path):
    (tmp_path / "shard").write_bytes(b"0123456789")
    with pytest.raises(DataError, match="sends whole files where a part is asked for"):
        block_reader.read_range(WholeFiles(tmp_path), "shard", 2, 3)
    with pytest.raises(DataError, match="ends too soon"):
        block_reader.read_range(WholeFiles(tmp_path), "shard", 0, 30)


def test_what_a_store_raises_is_a_sentence_with_the_address():
    whole, refused = (
        r"http://x/a: the server sends whole files.* Download it",
        r"http://x/a cannot be read: Connect",
    )
    with pytest.raises(DataError, match=whole), explained_store("http://x/a"):
        raise ValueError("The HTTP server doesn't appear to support range requests. Only reading…")
    with pytest.raises(DataError, match=refused), explained_store("http://x/a"):
        raise ConnectionRefusedError("Connect call failed")
    with pytest.raises(DataError, match=r"^there is none$"), explained_store("http://x/a"):
        raise DataError("there is none")
    assert install_command("simplecache::https://x/a.zip") == " Install it: pip install aiohttp requests"
    assert install_command("memory://x") == ""
