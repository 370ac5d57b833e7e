"""Results of jobs on disk: a file for each, with a digest. A restart computes only what is not there."""

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from diptych import files
from diptych.engine.row_jobs import Result
from diptych.opening import read_file

_DIGEST_BYTES = 32
_ARRAY = 1  # the code of an array among MessagePack's extensions


def packed(result: Result) -> bytes:
    """A result as bytes: a SHA-256 of the rest, then MessagePack."""
    content = msgspec.msgpack.encode(result, enc_hook=_array_bytes)
    return hashlib.sha256(content).digest() + content


def unpacked(content: bytes) -> Result | None:
    """The result of these bytes; ``None`` where their digest differs: they are damaged."""
    digest, rest = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    if hashlib.sha256(rest).digest() != digest:
        return None
    return msgspec.msgpack.decode(rest, type=dict[str, Any], ext_hook=_array)


def _array_bytes(value: Any) -> Any:
    if not isinstance(value, np.ndarray) or value.dtype.hasobject:
        # By msgspec's contract of ``enc_hook``: what a job gives back is a fault of the program, not of the pictures.
        raise NotImplementedError(f"A result holds a {type(value).__name__}.")
    header = json.dumps([value.dtype.str, value.shape]).encode()
    return msgspec.msgpack.Ext(_ARRAY, header + b"\n" + np.ascontiguousarray(value).tobytes())


def _array(code: int, content: memoryview) -> NDArray[Any]:
    header, _, rest = bytes(content).partition(b"\n")
    dtype, shape = json.loads(header)
    return np.frombuffer(rest, dtype).reshape(shape).copy()


class ResultFolder:
    """The results of one request, in a folder of the cache that is named by what they depend on."""

    def __init__(self, identity: dict[str, Any]) -> None:
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
        self._folder = files.cache_folder() / "jobs" / digest[:32]

    def has(self, rows: range) -> bool:
        """Whether there is a result for these rows, whole or not."""
        return self._path(rows).exists()

    def read(self, rows: range) -> Result | None:
        """The result for these rows; ``None``: there is none, or it is damaged, and deleted then."""
        try:
            result = unpacked(read_file(self._path(rows)))
        except FileNotFoundError:
            return None
        if result is None:
            self.forget(rows)
        return result

    def forget(self, rows: range) -> None:
        """Delete the result for these rows."""
        self._path(rows).unlink(missing_ok=True)

    def write(self, rows: range, content: bytes) -> None:
        """Keep a packed result."""
        # Unsynced: what a power cut breaks is known by its digest, and computed again.
        files.write_bytes(self._path(rows), content, synced=False)

    def remove(self) -> None:
        """Delete all results: what they were for is written."""
        if self._folder.exists():
            files.remove_folder(self._folder)

    def _path(self, rows: range) -> Path:
        return self._folder / f"{rows.start:012d}-{rows.stop:012d}.job"
