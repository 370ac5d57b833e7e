import json
import resource
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from diptych import resources, tensor_files
from diptych.errors import DataError

MORE_THAN_FREE = 10**13  # bytes; of a file with a hole, which takes none of the disk


def file_of(path: Path, header: bytes, size: int) -> Path:
    """A file of ``size`` bytes that begins with this header and else is a hole."""
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(size)
    return path


def header_of(end: object) -> bytes:
    return json.dumps({"weight": {"dtype": "U8", "shape": [end], "data_offsets": [0, end]}}).encode()


def test_tensors_come_back(tmp_path):
    tensors = {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.tensor([True, False])}
    save_file(tensors, tmp_path / "a.safetensors", metadata={"format": "pt"})
    read = tensor_files.read(tmp_path / "a.safetensors")
    assert read.keys() == tensors.keys()
    assert all(torch.equal(read[name], tensor) for name, tensor in tensors.items())


def test_a_file_without_tensors_is_one(tmp_path):
    save_file({}, tmp_path / "a.safetensors")
    assert tensor_files.read(tmp_path / "a.safetensors") == {}


@pytest.mark.parametrize(
    ("header", "size", "reason"),
    [
        (b"", MORE_THAN_FREE, "JSON"),
        (header_of(100), MORE_THAN_FREE, "its header describes"),
        (header_of(MORE_THAN_FREE), 200, "its header describes"),
        (header_of("many"), 200, "its header describes"),
        (b"[1]", 200, "its header describes 11"),
        (b"{", 200, "JSON"),
        (b"x" * 40, 20, "no safetensors file"),
        (header_of(MORE_THAN_FREE), 8 + len(header_of(MORE_THAN_FREE)) + MORE_THAN_FREE, "of memory that are free"),
    ],
)
def test_what_does_not_fit_its_header_or_the_memory_is_refused_before_it_is_read(tmp_path, header, size, reason):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError, match=reason):
        tensor_files.read(file_of(tmp_path / "a.safetensors", header, size))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KB


def test_a_file_that_the_memory_holds_only_once_is_refused(tmp_path, monkeypatch):
    save_file({"weight": torch.zeros(1000)}, tmp_path / "a.safetensors")
    monkeypatch.setattr(resources, "free_memory_bytes", lambda: 6000)
    with pytest.raises(DataError, match=r"a\.safetensors: it has 0\.0 GB, of 0\.0 GB of memory that are free"):
        tensor_files.read(tmp_path / "a.safetensors")


def test_a_folder_and_an_empty_file_are_refused(tmp_path):
    (tmp_path / "empty.safetensors").write_bytes(b"")
    for path, reason in ((tmp_path, "a folder"), (tmp_path / "empty.safetensors", "no safetensors file")):
        with pytest.raises(DataError, match=reason):
            tensor_files.read(path)
