"""Blocks of a remote file: one request for many pictures, tried again where the network fails, kept in bounded memory.

Neighbours in a shard are shown near each other in training (see :mod:`diptych.engine.orders.block_order`), so that
nearly every picture is found in a block that is here already.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from functools import lru_cache
from typing import Any

from diptych.data.sources.files import Files, LocalFiles
from diptych.data.sources.urls import without_ranges
from diptych.errors import DataError
from diptych.opening import OpenFile

#: Seconds to wait before each further attempt.
WAITS_SECONDS = (0.2, 1.0, 4.0)
#: What the blocks of one set may take together.
MAX_BYTES = 384 << 20
#: Shards of a local set that are open at a time: those of the window of blocks that training reads.
MAX_OPEN = 64


def read_range(files: "Files | OpenShards", name: str, start: int, count: int) -> bytes:
    """Read ``count`` bytes of a file, at once; a failure of the network is tried again.

    Raises
    ------
    DataError
        It fails each time, or the file is shorter: nothing may go on without these pictures.
    """
    for wait in (*WAITS_SECONDS, None):
        try:
            data = files.read_range(name, start, count)
        except FileNotFoundError:
            raise DataError(f"{files.path(name)} is not there any more. Copy it there again.") from None
        except Exception as error:  # each store of fsspec has errors of its own
            if wait is None:
                attempts = len(WAITS_SECONDS) + 1
                reason = str(error) or type(error).__name__
                raise DataError(
                    f"{files.path(name)} cannot be read after {attempts} attempts: {reason}. Nothing is lost; run the "
                    "same command again when it can be reached."
                ) from error
            time.sleep(wait)
            continue
        if len(data) > count:
            raise without_ranges(files.path(name))
        if len(data) < count:
            raise DataError(f"{files.path(name)} ends too soon. Copy it there again, or pack the pictures again.")
        return data
    raise AssertionError("the last attempt returns or raises")


class OpenShards:
    """The shards of a local set, of which those that were read last stay open.

    Parameters
    ----------
    files
        The folder of the set.
    """

    def __init__(self, files: LocalFiles) -> None:
        self._files, self._open = files, lru_cache(MAX_OPEN)(OpenFile)

    def __reduce__(self) -> tuple[Any, ...]:
        """Travels to another process without open files."""
        return OpenShards, (self._files,)

    def path(self, name: str) -> str:
        """See :class:`Files`."""
        return self._files.path(name)

    def read_range(self, name: str, start: int, count: int) -> bytes:
        """See :class:`Files`."""
        return self._open(self.path(name)).read(start, count)


class BlockCache:
    """Blocks by their number, the least recently used dropped first; each is fetched once, whoever asks for it.

    Parameters
    ----------
    fetch
        Returns the bytes of a block.
    max_bytes
        What all of them may take. The one that was asked for last is kept in any case.
    """

    def __init__(self, fetch: Callable[[int], bytes], max_bytes: int = MAX_BYTES) -> None:
        self._fetch, self._max_bytes = fetch, max_bytes
        self._blocks: OrderedDict[int, Future[bytes]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        """Travels to another process without its blocks."""
        return BlockCache, (self._fetch, self._max_bytes)

    def get(self, block: int) -> bytes:
        """The bytes of a block; raises what ``fetch`` raises."""
        with self._lock:
            known = self._blocks.get(block)
            if known is not None:
                self._blocks.move_to_end(block)
            else:
                future = self._blocks[block] = Future()
        if known is not None:
            return known.result()
        try:
            data = self._fetch(block)
        except BaseException as error:
            with self._lock:
                del self._blocks[block]
            future.set_exception(error)
            raise
        future.set_result(data)
        with self._lock:
            self._bytes += len(data)
            self._drop_oldest()
        return data

    def _drop_oldest(self) -> None:
        for number in list(self._blocks)[:-1]:
            if self._bytes <= self._max_bytes:
                return
            if self._blocks[number].done():
                self._bytes -= len(self._blocks.pop(number).result())
