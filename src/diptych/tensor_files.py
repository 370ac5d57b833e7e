"""The one reader of safetensors files: what the header says is compared with the file before the file is read."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diptych.errors import DataError
from diptych.json_reader import JSONError, read_bytes

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

CURE = "Restore it from a copy"


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
        return unpack(read_bytes(path, memory()))
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


def memory() -> int:
    """Bytes of memory that this machine has: no file that is read as a whole can be larger."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 2**40


def _unpacked(load: Callable[[bytes], dict[str, Any]], packed: bytes) -> dict[str, Any]:
    from safetensors import SafetensorError

    try:
        return load(packed)
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError, OverflowError) as error:
        raise DataError((str(error).splitlines() or ["it is no safetensors file"])[0]) from None
