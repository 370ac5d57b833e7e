import gzip
import io
import re
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from diptych import Images
from diptych.data.sources import unpacked_size
from diptych.errors import DataError

MEGABYTE = bytes(1_000_000)


def write_parquet(path: Path) -> None:
    values = pa.DictionaryArray.from_arrays(pa.array([0] * 40, pa.int32()), pa.array([MEGABYTE]))
    pq.write_table(pa.table({"image": values}), path, compression="zstd", store_schema=False)


def write_npz(path: Path) -> None:
    np.savez_compressed(path, pixels=np.zeros((40, 1000, 1000), np.uint8))


def write_tar(path: Path) -> None:
    path.write_bytes(gzip.compress(MEGABYTE * 40))


@pytest.mark.parametrize(("name", "write"), [("a.parquet", write_parquet), ("a.npz", write_npz), ("a.tgz", write_tar)])
def test_what_unpacks_to_far_more_than_the_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, write: Callable[[Path], None]
) -> None:
    monkeypatch.setattr(unpacked_size, "FREELY_BYTES", 10_000_000)  # of 500 million, which take seconds
    write(tmp_path / name)
    with pytest.raises(DataError, match=rf"{re.escape(name)} holds .*, but unpacks to .* the limit is 10 MB"):
        Images.open(tmp_path / name)


def test_what_does_not_fit_in_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diptych.resources.free_memory_bytes", lambda: 1_000_000)
    np.savez(tmp_path / "a.npz", pixels=np.zeros((40, 200, 200), np.uint8))
    with pytest.raises(DataError, match=r"takes 2 MB of memory; the limit is 500 KB, half of what is free"):
        Images.open(tmp_path / "a.npz")


def test_equal_pictures_in_parquet_are_read_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dictionary of one picture for a thousand rows: little, though much might be in it."""
    monkeypatch.setattr("diptych.data.sources.parquet.free_memory_bytes", lambda: 400_000)
    out = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 10, 10)).save(out, "PNG")
    pq.write_table(pa.table({"image": [out.getvalue()] * 1000, "label": ["cat", "dog"] * 500}), tmp_path / "a.parquet")
    images = Images.open(tmp_path / "a.parquet")
    assert len(images) == 1000
    assert images.classes == ("cat", "dog")
    assert images[999:].pixels(8)[0].shape == (3, 8, 8)


def test_names_in_braces_are_counted_before_they_are_looked_for(tmp_path: Path) -> None:
    for pattern in ("a-{0..9999999999}.tar", "a-{0..99999}-{0..99999}.tar"):
        with pytest.raises(DataError, match="stands for more than 100,000 files"):
            Images.open(tmp_path / pattern)


def test_packed_shards_are_unpacked_as_before(tmp_path: Path) -> None:
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "PNG")
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo("0.png")
        member.size = len(out.getvalue())
        archive.addfile(member, io.BytesIO(out.getvalue()))
    assert len(Images.open(tmp_path / "a.tar.gz")) == 1


def test_a_long_cell_does_not_widen_every_row(tmp_path: Path) -> None:
    for row in range(1000):
        Image.new("L", (4, 4)).save(tmp_path / f"{row}.png")
    rows = [f'{{"file_name": "{row}.png", "note": "{"x" * (100_000 if row == 7 else 1)}"}}' for row in range(1000)]
    (tmp_path / "metadata.jsonl").write_text("\n".join(rows))
    with pytest.raises(DataError, match=r"note has a cell of 100,000 characters, and takes 400 MB .* limit is 100 MB"):
        Images.open(tmp_path)
