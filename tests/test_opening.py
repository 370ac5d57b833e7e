import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from diptych import Images, artefact
from diptych.data.inspection import manifest
from diptych.errors import ArtefactError, DataError
from diptych.opening import NotAFileError, OpenFile, TooLargeError, open_file, read_file, read_range, size_of

SECONDS = 60  # a pipe would be waited at for ever, and a device never end


def make(kind: str, path: Path) -> None:
    if kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a link to a pipe":
        os.mkfifo(path.with_name(".pipe"))
        path.symlink_to(".pipe")
    elif kind == "a folder":
        path.mkdir()
    elif kind == "a socket":
        with socket.socket(socket.AF_UNIX) as end:
            end.bind(os.path.relpath(path))
    else:
        path.symlink_to("/dev/zero")


@pytest.mark.parametrize("kind", ["a pipe", "a link to a pipe", "a folder", "a socket", "a device"])
def test_what_is_no_file_is_refused_by_name_without_waiting(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    make(kind, path)
    for read in (open_file, read_file, size_of, lambda path: read_range(path, 0, 10)):
        with pytest.raises(NotAFileError, match=rf"x cannot be read: it is {kind.removeprefix('a link to ')}, not a"):
            read(path)


def test_files_are_read_whole_in_part_and_up_to_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(bytes(range(100)))
    assert read_file(path, limit=100) == bytes(range(100))
    assert read_range(path, 90, 20) == bytes(range(90, 100))
    with pytest.raises(TooLargeError, match=r"holds .* MB, and the limit is"):
        read_file(path, limit=99)
    with pytest.raises(FileNotFoundError):
        read_file(tmp_path / "y")


@pytest.mark.parametrize("kind", ["a pipe", "a device"])
def test_every_reader_asks_what_it_opens(tmp_path: Path, kind: str) -> None:
    """In a process of its own, since a reader that does not ask would wait for ever."""
    for name in ("a.png", "a.npz", "a.parquet", "a.tar", "a.tar.gz", "a.zip", "weights.safetensors", "man.csv"):
        make(kind, tmp_path / name)
    for folder, name in (("table", "metadata.csv"), ("zips", "a.zip"), ("sets", "a.npz")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).symlink_to(tmp_path / "a.png")
    program = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_opening as t; t.read_all()"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr


def read_all() -> None:
    pictures = Images.of_files(["a.png"])
    pictures.readable(8)
    assert "not a file" in str(pictures.known_errors()[0])
    for name in ("a.png", "a.npz", "a.parquet", "a.tar", "a.tar.gz", "a.zip", "table", "zips", "sets"):
        with pytest.raises(DataError, match="not a file"):
            Images.open(name)
    with pytest.raises(DataError, match="not a file"):
        manifest.read("man.csv")
    with pytest.raises(ArtefactError, match="not a file"):
        artefact.arrays(".", {})  # as load does, but without torch


def test_a_file_that_stays_open_is_read_anywhere_by_many_threads_and_closed_at_the_end(tmp_path: Path) -> None:
    content = bytes(range(256)) * 40
    (tmp_path / "a.bin").write_bytes(content)
    file = OpenFile(tmp_path / "a.bin")
    starts = [37 * i % 10_000 for i in range(500)]
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(file.read, starts, [400] * len(starts)))
    assert parts == [content[start : start + 400] for start in starts]
    assert is_open(tmp_path / "a.bin")
    del file, pool
    assert not is_open(tmp_path / "a.bin")


def is_open(path: Path) -> bool:
    """Whether this process has the file open."""
    opened = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # that of the listing itself
            opened.append(descriptor.readlink())
    return path in opened


def test_what_is_no_file_does_not_stay_open(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, tmp_path / "none"):
        with pytest.raises(OSError, match=r"pipe|folder|No such file"):
            OpenFile(path)
