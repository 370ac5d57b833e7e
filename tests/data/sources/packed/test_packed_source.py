"""Packed sets: from a folder, from memory and over HTTP; what is missing or damaged is named."""

import shutil

import fsspec
import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from diptych import Images
from diptych.data.packing import pack as packing
from diptych.data.sources.files import RemoteFiles
from diptych.data.sources.packed import block_reader
from diptych.data.sources.packed.block_reader import BlockCache
from diptych.data.sources.packed.packed_source import open_packed
from diptych.errors import DataError


@pytest.fixture(scope="module", params=["tar", "parquet"])
def shards(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("packed") / "shards"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packing, "SHARD_PICTURES", 100)
        packing.pack(Images.open("digits")[:250], folder, kind=request.param)
    return folder


@pytest.fixture
def copy(shards, tmp_path):
    return shutil.copytree(shards, tmp_path / "copy")


def first_shard(folder):
    return next(path for path in sorted(folder.iterdir()) if path.suffix in (".tar", ".parquet"))


def test_a_missing_shard_is_named(copy):
    first_shard(copy).unlink()
    with pytest.raises(DataError, match=r"shard-00000\.\w+ is missing"):
        Images.open(copy)


def test_a_shard_of_another_size_is_named(copy):
    with first_shard(copy).open("ab") as file:
        file.write(b"x")
    with pytest.raises(DataError, match=r"shard-00000\.\w+ has [\d,]+ bytes, but pack.json says"):
        Images.open(copy)


def test_a_shard_with_a_changed_byte_is_named_when_the_picture_is_read(copy):
    images, shard = Images.open(copy), first_shard(copy)
    start = int(images.store.sources[0]._places.offsets[7])
    data = bytearray(shard.read_bytes())
    data[start + 60] ^= 1
    shard.write_bytes(data)
    with pytest.raises(DataError, match=r"shard-00000\.\w+ is damaged"):
        Images.open(copy).pixels(8)


def test_a_changed_index_is_named(copy):
    index = copy / "shard-00001.index"
    data = bytearray(index.read_bytes())
    data[len(data) // 2] ^= 1
    index.write_bytes(data)
    with pytest.raises(DataError, match=r"shard-00001\.index is not the one that was packed"):
        Images.open(copy)


def test_slices_know_their_names_and_blocks(shards):
    images = Images.open(shards)
    part = images[100:][np.array([3, 120, 5])]
    assert part.paths.tolist() == images.paths[[103, 220, 105]].tolist()
    assert part.store.blocks().tolist() == [1, 2, 1]
    assert images.fingerprint() == Images.open(shards).fingerprint() != part.fingerprint()


def test_from_a_url_it_is_the_same_set(shards):
    memory = fsspec.filesystem("memory")
    memory.put(str(shards), "/packed", recursive=True)
    remote, local = Images.open("memory://packed"), Images.open(shards)
    assert (remote.pixels(8) == local.pixels(8)).all()
    assert remote.fingerprint() == local.fingerprint()
    memory.rm("/packed", recursive=True)


class Unreliable(MemoryFileSystem):
    """A store that fails as often as ``failing`` says, and notes which ranges of shards were asked for."""

    protocol = "unreliable"
    cachable = False
    failing, asked = 0, 0

    def cat_file(self, path, start=None, end=None, **options):
        if not path.endswith((".index", ".json")):
            self.asked += 1
            if self.failing:
                self.failing -= 1
                raise ConnectionResetError("connection reset by peer")
        return super().cat_file(path, start, end, **options)


def test_a_block_is_one_request_which_is_tried_again(shards, monkeypatch):
    monkeypatch.setattr(block_reader, "WAITS_SECONDS", (0.01,) * 3)
    store = Unreliable()
    store.put(str(shards), "/unreliable", recursive=True)
    store.failing = 2
    remote = Images.of_source(open_packed(RemoteFiles("store://unreliable", store, "/unreliable")))
    assert (remote.pixels(8) == Images.open(shards).pixels(8)).all()
    assert store.asked == 3 + 2  # one for each shard, which is one block here, and two that failed
    store.failing = 1000
    remote = Images.of_source(open_packed(RemoteFiles("store://unreliable", store, "/unreliable")))
    with pytest.raises(DataError, match="cannot be read after 4 attempts: connection reset by peer"):
        remote.pixels(8)
    store.rm("/unreliable", recursive=True)


def test_the_blocks_in_memory_are_bounded():
    fetched = []
    cache = BlockCache(lambda block: fetched.append(block) or bytes(10), max_bytes=30)
    for block in (1, 2, 3, 1, 4, 1, 2):
        cache.get(block)
    assert fetched == [1, 2, 3, 4, 2]
