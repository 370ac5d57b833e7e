"""The one reader and writer of safetensors: what a header says is compared with its file before the file is read."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from diptych import json_reader, opening, resources
from diptych.errors import DataError
from diptych.json_reader import JSONError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

CURE = "Restore it from a copy"
MAX_HEADER_BYTES = 100_000_000  # as the library has it
MAX_MEMORY_SHARE = 0.5  # of what is free: the bytes of a file and its tensors are there at the same time
_LENGTH_BYTES = 8  # of the header's length, at the beginning of a file


def read(path: Path) -> "dict[str, Tensor]":
    """The tensors of a file, by name.

    Raises
    ------
    DataError
        It is no safetensors file, or damaged.
    OSError
        It cannot be read.
    """
    try:
        return unpack(read_bytes(path))
    except JSONError as error:
        raise DataError(f"{path}: {error.reason}. {CURE}.") from None
    except DataError as error:
        raise DataError(f"{path}: {error}. {CURE}.") from None


def unpack(packed: bytes) -> "dict[str, Tensor]":
    """The tensors of a file's bytes, by name.

    Raises
    ------
    DataError
        They are damaged; the message says what is wrong with them.
    """
    from safetensors.torch import load

    return _unpacked(load, packed)


def unpack_arrays(packed: bytes) -> "dict[str, NDArray[Any]]":
    """The same as arrays, without torch."""
    from safetensors.numpy import load

    return _unpacked(load, packed)


def pack(weights: Mapping[str, "Tensor"]) -> bytes:
    """Tensors by name as the bytes of a safetensors file."""
    import torch
    from safetensors.torch import save

    # Copied one by one: safetensors refuses tensors that share storage or are not laid out row by row.
    return save(
        {
            name: tensor.detach().to("cpu").clone(memory_format=torch.contiguous_format)
            for name, tensor in weights.items()
        },
        metadata={"format": "pt"},
    )


def read_bytes(path: Path) -> bytes:
    """All bytes of a file, of which only the header is read where it does not fit the file, or the file the memory.

    Raises
    ------
    JSONError
        It is no safetensors file, or too large.
    OSError
        It cannot be read.
    """
    try:
        with opening.open_file(path) as file:
            size = file.seek(0, 2)
            file.seek(0)
            described = _described_bytes(file, size)
            if described != size:
                raise JSONError(f"it has {size:,} bytes, and its header describes {described:,}")
            free = resources.free_memory_bytes()
            if size > MAX_MEMORY_SHARE * free:
                raise JSONError(f"it has {size / 1e9:,.1f} GB, of {free / 1e9:,.1f} GB of memory that are free")
            file.seek(0)
            return file.read()
    except opening.NotAFileError as error:
        raise JSONError(str(error.strerror)) from None


def _described_bytes(file: BinaryIO, size: int) -> int:
    """How large the file is, by its header."""
    length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
    if length > min(MAX_HEADER_BYTES, size - _LENGTH_BYTES):
        raise JSONError("it is no safetensors file")
    header = json_reader.parse(file.read(length))
    ends = [
        tensor["data_offsets"][1]
        for name, tensor in (header.items() if isinstance(header, dict) else ())
        if name != "__metadata__" and isinstance(tensor, dict) and _are_offsets(tensor.get("data_offsets"))
    ]
    return _LENGTH_BYTES + length + max(ends, default=0)


def _are_offsets(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(type(end) is int for end in value)


def _unpacked(load: Callable[[bytes], dict[str, Any]], packed: bytes) -> dict[str, Any]:
    from safetensors import SafetensorError

    try:
        return load(packed)
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError, OverflowError) as error:
        raise DataError((str(error).splitlines() or ["it is no safetensors file"])[0]) from None
